"""The baseline in PyTorch, as a process of its own, since PyTorch's threads and TensorFlow's get in each other's way.

For each line "go" on standard input it trains two epochs and prints their seconds.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

BATCH = 32


def main(folder: str, layout: str) -> None:
    pixels, targets, held_out = (np.load(f"{folder}/{name}.npy") for name in ("pixels", "targets", "held_out"))
    layers, channels = [], 3
    for width in (32, 64):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        channels = width
    layers += [nn.Flatten(), nn.Linear(64 * 14 * 14, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, targets.shape[1])]
    memory_format = getattr(torch, layout)
    model = nn.Sequential(*layers).to(memory_format=memory_format)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-4)
    loss_of = nn.CrossEntropyLoss()
    wanted = torch.from_numpy(targets)

    def prepared(images: np.ndarray) -> torch.Tensor:
        channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
        return channels_first.contiguous(memory_format=memory_format)

    def epoch() -> float:
        begun = time.perf_counter()
        model.train()
        for start in range(0, len(pixels) - BATCH + 1, BATCH):
            loss = loss_of(model(prepared(pixels[start : start + BATCH])), wanted[start : start + BATCH])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for start in range(0, len(held_out), 64):
                model(prepared(held_out[start : start + 64]))
        return time.perf_counter() - begun

    for _ in sys.stdin:
        print(epoch(), epoch(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
