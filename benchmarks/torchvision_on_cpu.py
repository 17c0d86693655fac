"""Import this before torchvision. Beside a CPU build of PyTorch, PyPI's torchvision, which is built for CUDA, cannot
load its operators, and its import fails for want of two of them, though its transforms and networks need none."""

import importlib.util
from pathlib import Path

import torch

(folder,) = importlib.util.find_spec("torchvision").submodule_search_locations
try:
    for operators in Path(folder).glob("_C*"):
        torch.ops.load_library(operators)
except OSError:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
