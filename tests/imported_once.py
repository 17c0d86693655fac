"""What the processes of launching.py start from: the libraries, imported as kcnn imports them, and kcnn itself."""

import gc
import importlib
import os
import pkgutil

# As for a user's new process: the process of the tests may have set these for itself already.
for name in [name for name in os.environ if name.startswith(("KERAS_", "TF_"))]:
    del os.environ[name]
BEFORE = dict(os.environ)

from kaggle_cnn.learn.backend import start_backend  # noqa: E402

start_backend("tensorflow")

import pandas  # noqa: E402, F401
import rich.table  # noqa: E402, F401
import sklearn.metrics  # noqa: E402
import sklearn.model_selection  # noqa: E402, F401

import kaggle_cnn  # noqa: E402
from kaggle_cnn.cli import main  # noqa: E402, F401

# What a command imports when it needs it, which takes a process 0.3 s. Not `kaggle` itself: it signs in meanwhile.
for found in pkgutil.walk_packages(kaggle_cnn.__path__, "kaggle_cnn."):
    if not found.name.startswith(("kaggle_cnn.__main__", "kaggle_cnn.competition.demo", "kaggle_cnn.recipes")):
        importlib.import_module(found.name)
for name in ("competitions.types.competition_api_service", "datasets.types.dataset_api_service", "kaggle_client"):
    importlib.import_module(f"kagglesdk.{name}")
for name in ("bleach", "dateutil.relativedelta", "dotenv", "slugify", "tqdm"):  # what kaggle imports
    importlib.import_module(name)

# What the imports set, which the new environment of a forked process must keep.
SETTINGS = {name: text for name, text in os.environ.items() if BEFORE.get(name) != text}

gc.freeze()  # see the fixture `keras`
