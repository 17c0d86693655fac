"""What the processes of launching.py start from: the libraries, imported as kcnn imports them."""

import gc
import os

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

from kaggle_cnn.cli import main  # noqa: E402, F401

# What the imports set, which the new environment of a forked process must keep.
SETTINGS = {name: text for name, text in os.environ.items() if BEFORE.get(name) != text}

gc.freeze()  # see the fixture `keras`
