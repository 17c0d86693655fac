"""What five folds of a ResNet-50-sized network take, by a small model of a training.

    python benchmarks/scaling.py            # the table of docs/scaling.md
    python benchmarks/scaling.py --price 2 --network 1.25

An epoch is as long as the slowest of what goes on at the same time: computing with its sums of gradients, augmenting,
reading, writing the epoch before. `Inputs` says where each number comes from; no GPU of ours was measured.

The second table: from where on something else than computing is the limit. Cores of each GPU to augment; what a disk
must read where the images do not stay in memory; the network between machines at which to sum takes as long as to
compute; the images below which to write an epoch takes longer than to train it; the batch of all.
"""

import argparse
import math
from dataclasses import dataclass, fields

COUNTS = {100_000: 90, 1_000_000: 90, 14_000_000: 30}  # images -> epochs, as ImageNet-1k and -21k are trained
DEVICES = (1, 8, 64)
FOLDS = 5


@dataclass(frozen=True)
class Inputs:
    """NVIDIA: DeepLearningExamples, ResNet-50 v1.5 on a DGX A100, mixed precision, 224 pixels. kcnn: BENCHMARKS.md, on
    a core of an EPYC. The rest are assumptions: put in your own."""

    rate: float = 2470.0  # images/s of a GPU (NVIDIA)
    together: float = 16_621 / (8 * 2470)  # of the rate of 8 GPUs is left when they train one network (NVIDIA)
    batch: int = 256  # of each GPU (NVIDIA)
    parameters: float = 25.6e6  # of ResNet-50 (He et al. 2015)
    machine: int = 8  # GPUs of a machine
    cores: int = 16  # of each GPU, half of which augment, at most 8 of a process
    augmented: float = 2775.0  # images/s of a core, 224 pixels (kcnn)
    decoded: float = 1100.0  # images/s of a core, once (kcnn)
    image: float = 256 * 256 * 3  # bytes of an image in the cache
    memory: float = 2**40  # bytes of a machine
    disk: float = 5e9  # bytes/s that a machine reads
    network: float = 12.5  # GB/s between machines: 100 Gbit/s
    validated: float = 1 / 3  # of the time of training, to predict an image
    after: float = 2.0  # seconds to write an epoch, beside what is trained on
    started: float = 90.0  # seconds to start, to open the data and to compile, for each fold
    price: float = 3.0  # dollars for an hour of a GPU


def train_fold(given: Inputs, images: int, epochs: int, devices: int) -> float:
    """Seconds of one network on `devices`, of which each has a process."""
    trained, machines = 0.8 * images, math.ceil(devices / given.machine)
    computing = (trained + 0.2 * images * given.validated) / speed(given, devices)
    summing = trained / (given.batch * devices) * sum_bytes(given, machines) / (given.network * 1e9)
    augmenting = trained / (given.augmented * min(8, given.cores / 2) * devices)
    stored = images * given.image / machines
    reading = 0.0 if stored < given.memory / 2 else stored / given.disk
    epoch = max(computing + summing, augmenting, reading, given.after)
    decoding = images / (given.decoded * given.cores * devices) / FOLDS  # once for all
    return given.started + decoding + epochs * epoch


def speed(given: Inputs, devices: int) -> float:
    """Images/s that `devices` train together, if nothing else holds them up."""
    return given.rate * devices * (1.0 if devices == 1 else given.together)


def sum_bytes(given: Inputs, machines: int) -> float:
    """Bytes that each machine sends in a step, in a ring of them; GPUs of one machine have a faster way."""
    return 2 * 4 * given.parameters * (machines - 1) / machines


def plan(given: Inputs, images: int, epochs: int, devices: int) -> tuple[float, str]:
    """Hours of five folds, in the faster of two ways, and which."""
    ways = [(FOLDS * train_fold(given, images, epochs, devices), "one after the other")]
    if devices >= FOLDS:
        own = devices // FOLDS
        ways.append((train_fold(given, images, epochs, own), f"at once, {own} GPU{'s' if own > 1 else ''} each"))
    seconds, way = min(ways)
    return seconds / 3600, way


def find_limits(given: Inputs, devices: int) -> list[str]:
    """What one network on `devices` needs so that nothing but computing counts."""
    rate, machines = speed(given, devices), math.ceil(devices / given.machine)
    cores = 2 * rate / devices / given.augmented
    disk = rate / machines * given.image / 1e9
    network = sum_bytes(given, machines) * rate / (given.batch * devices) / 1e9 * 8
    least = given.after * rate / (0.8 + 0.2 * given.validated)
    return [
        f"{cores:.1f}", f"{disk:.1f} GB/s", f"{network:.0f} Gbit/s" if machines > 1 else "", f"{least:,.0f}",
        f"{given.batch * devices:,.0f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Inputs):
        parser.add_argument(f"--{field.name}", type=float, default=field.default)
    given = Inputs(**vars(parser.parse_args()))
    print("| images, epochs | cache | GPUs | five folds | hours | dollars |\n| --- | --- | --- | --- | --- | --- |")
    for images, epochs in COUNTS.items():
        for devices in DEVICES:
            hours, way = plan(given, images, epochs, devices)
            cache, cost = images * given.image / 2**30, hours * devices * given.price
            print(f"| {images:,}, {epochs} | {cache:,.0f} GiB | {devices} | {way} | {hours:,.1f} | {cost:,.0f} |")
    print("\n| GPUs | cores for each | disk of a machine | network | images | batch |")
    print("| --- | --- | --- | --- | --- | --- |")
    for devices in DEVICES:
        print(f"| {devices} | {' | '.join(find_limits(given, devices))} |")


if __name__ == "__main__":
    main()
