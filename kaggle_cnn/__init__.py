"""kcnn: from a competition's name to an honest, high score. See README.md."""

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.learn.recipe import Recipe

__version__ = "0.1.0"
__all__ = ["KcnnError", "Recipe", "__version__"]
