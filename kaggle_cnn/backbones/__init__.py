"""Pretrained backbones: which there are, and where their weights are. Without Keras."""
