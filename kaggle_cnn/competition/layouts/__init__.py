"""How labels are stored: recognised from the files alone, and read."""
