"""Before Keras is imported: which backend, and quiet. After: which device, and which precision it likes."""

import importlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kaggle_cnn.errors import KcnnError

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}  # Keras' name -> the package it imports
SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # off by default on some CPUs, where it makes batch normalisation nets twice as fast
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # leave memory to others on a shared GPU
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


@dataclass(frozen=True)
class Device:
    """`name` for people; `precision` is the Keras dtype policy that suits it; `memory` a GPU's bytes, 0 for a CPU."""

    name: str
    precision: str
    memory: int = 0


def choose_backend(backend: str | None) -> str:
    """Return `backend`, or else that of KERAS_BACKEND, or TensorFlow."""
    return backend or os.environ.get("KERAS_BACKEND") or "tensorflow"


def start_backend(backend: str | None) -> None:
    """Import Keras on the backend that `choose_backend` gives; drop what the libraries print meanwhile.

    Raises KcnnError where the backend is unknown or not installed.
    """
    backend = choose_backend(backend)
    if backend not in BACKENDS:
        raise KcnnError(f"there is no backend '{backend}'", f"expected one of {', '.join(BACKENDS)}")
    if "keras" in sys.modules:
        if importlib.import_module("keras").backend.backend() != backend:
            raise KcnnError(
                f"expected Keras on {backend}, and this process runs it on another backend",
                f"start Python again with KERAS_BACKEND={backend}",
            )
        return
    os.environ["KERAS_BACKEND"] = backend
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its warnings land on the progress bar
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if not first_gpu():  # the same seed gives the same weights; on a GPU this would cost speed, and some operations
        os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    try:
        with silent_stderr():
            importlib.import_module(BACKENDS[backend])
            importlib.import_module("keras")
            with suppress(ImportError):  # Keras imports it later for its seeds, whatever the backend, and it is loud
                importlib.import_module("tensorflow")
    except ImportError as error:
        hint = "pip install tensorflow" if backend == "tensorflow" else f"pip install 'kcnn[{backend}]'"
        raise KcnnError(
            f"the backend {backend} cannot be imported: {error}",
            f"{hint}, or choose another backend: --backend {'jax' if backend == 'tensorflow' else 'tensorflow'}",
        ) from None


def running_backend() -> str:
    """Return the backend that Keras runs on."""
    return str(importlib.import_module("keras").backend.backend())


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a file meanwhile, since TensorFlow's C++ lines ignore Python's sys.stderr. What was
    written is shown where the block fails with anything but an ImportError."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except ImportError:
            raise
        except BaseException:  # Ctrl-C too; it goes on, after what was written
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@cache
def find_device() -> Device:
    """Return the GPU that the running backend uses, named by the driver's own nvidia-smi, or the CPU.

    Volta and Turing (compute capability 7) have fast float16, Ampere and later (8 and up) bfloat16 too, which needs no
    loss scaling. A CPU gets float32: bfloat16 measured ten times slower there without AVX-512 BF16 or AMX, and 1.1 to
    1.7 times as fast with it (BENCHMARKS.md); a run is to be the same on all of them.
    """
    import keras

    with silent_stderr():
        place = str(keras.ops.zeros(1).device).lower()  # ".../device:CPU:0", "cuda:0"
    if "gpu" not in place and "cuda" not in place:
        return Device(f"CPU, {os.cpu_count()} cores", "float32")
    name, capability, mebibytes = first_gpu() or ("GPU", 0, 0)
    generation = float(capability)
    precision = "mixed_bfloat16" if generation >= 8 else "mixed_float16" if generation >= 7 else "float32"
    return Device(name, precision, int(mebibytes) * 2**20)


def first_gpu() -> list[str]:
    """Return for example ["NVIDIA H100", "9.0", "81559"], memory in MiB; [] where nvidia-smi does not say."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    return done.stdout.strip().split("\n")[0].split(", ") if done.returncode == 0 else []


def free_memory() -> int:
    """Return how many bytes of memory can still be used: those that Linux calls available, within the container's limit
    where there is one; elsewhere all that the computer has."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [sys.maxsize]
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        found.append(most - used + int(statistics.get("inactive_file", 0)))
    return min(found)
