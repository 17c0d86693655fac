"""What a competition is and where it lives: files, layout, sample, host."""
