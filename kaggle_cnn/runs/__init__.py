"""What a training leaves, and what is made of it, without Keras."""
