"""From a recipe to probabilities."""
