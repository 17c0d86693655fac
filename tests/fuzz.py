"""`make fuzz`: the tests of test_hostile.py again and again for some minutes, with other seeds and more examples."""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
MOST_MEMORY = 2**30  # bytes


def main() -> None:
    """Print the seed of each round; end with 1 where something escapes, hangs or takes more than 1 GiB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    end, seed, rounds = time.monotonic() + 60 * given.minutes, given.seed, 0
    while time.monotonic() < end or not rounds:
        print(f"seed {seed}", flush=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            str(HERE / "test_hostile.py"),
        ]
        surroundings = {**os.environ, "HYPOTHESIS_PROFILE": "fuzz"}
        done = subprocess.run([*command, f"--hypothesis-seed={seed}"], cwd=HERE.parent, env=surroundings)
        memory = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"  exit {done.returncode}, at most {memory / 2**20:,.0f} MiB of memory", flush=True)
        if done.returncode or memory > MOST_MEMORY:
            sys.exit(f"seed {seed} fails: python tests/fuzz.py --seed {seed} --minutes 0")
        seed, rounds = seed + 1, rounds + 1
    print(f"{rounds} rounds, nothing escaped")


if __name__ == "__main__":
    main()
