"""Parts of a work on many machines: each is a task of Ray, which places it, and repeats it where its worker is lost.

A part is trained by a plain function of plain values that goes on from what is on the disk. Nothing of Ray is imported
before `--on` asks for it.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.plural import count_of
from kaggle_cnn.progress import Part, Progress, Silent

RETRIES = 3  # times that a part is begun again after its worker or its machine is lost
PAUSE = 0.5  # seconds between two looks at what is done
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
QUIET |= {"RAY_DEDUP_LOGS_SKIP_REGEX": ".*"}  # else it prints 30 lines, into a table or JSON, when a worker is lost
# Ray asks which cloud it is in, by addresses beyond this machine, also where usage statistics are off.
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")  # else each task takes all cores
Work = Callable[[Any, Progress], Any]


def run_on_ray(work: Work, parts: Mapping[str, Any], address: str, progress: Progress) -> dict[str, Any]:
    """Call work(part, progress) for each of `parts`, name -> part, as tasks of Ray; return what each gives, by name.

    `work` is a function of kcnn, since each machine has kcnn, and a part is what pickle takes. `address` is that of a
    cluster, "ray" for RAY_ADDRESS, or else for a Ray of this machine that ends with the call. The graphics cards are
    shared one for each part, the cores equally. Raises KcnnError where Ray is not there, where a part fails, which
    ends the others, and where one has lost its worker RETRIES times.
    """
    waiting, found = list(parts.items()), dict[str, Any]()

    def end(name: str, result: Any) -> None:
        if isinstance(result, Exception):
            raise result
        found[name] = result

    run_asked(work, len(parts), lambda: waiting.pop(0) if waiting else None, end, address, progress)
    return found


def run_asked(
    work: Work,
    most: int,
    ask: Callable[[], tuple[str, Any] | None],
    end: Callable[[str, Any], None],
    address: str,
    progress: Progress,
    judge: Callable[[str, dict[str, Any]], bool] | None = None,
) -> int:
    """As run_on_ray, of parts that `ask` gives when there is room for one, up to `most` at once, until it gives None
    and none is at work. `end` is called with what each gives, or with its error. `judge` is called with what a part
    reports; where it returns True, the part stops. Return how many can be at work at once."""
    with join_cluster(address) as (ray, settings), explain_loss(ray):
        shares = share_resources(ray, most)
        at_once = count_at_once(ray, shares, most)
        call, board = prepare_calls(ray, work, shares, settings)
        progress.say(f"Ray: {count_nodes(ray)}, {name_shares(shares)} for each of up to {most}")
        tasks: dict[Any, str] = {}
        shown: dict[str, Part] = {}
        while True:
            while len(tasks) < most and (asked := ask()):
                name, part = asked
                tasks[call.remote(work, part, name, board)] = name
                shown[name] = Part(name)
            if not tasks:
                return at_once
            done, _ = ray.wait(list(tasks), timeout=PAUSE)
            for name, event, values in ray.get(board.take.remote()):
                if event == "say":
                    progress.say(f"{name}: {values['text']}")
                elif event == "report":
                    if judge and judge(name, values):
                        board.stop.remote(name)
                elif event == "begin":
                    if shown[name].machine:
                        progress.say(f"note: {name}: its worker was lost; it goes on on {values['machine']}")
                    shown[name] = replace(shown[name], **values)
                else:
                    shown[name] = replace(shown[name], state="training", **values)
                    progress.parts(list(shown.values()))
            for task in done:
                name = tasks.pop(task)
                end(name, collect(ray, task, name))
                shown[name] = replace(shown[name], state="done")
            progress.parts(list(shown.values()))


def prepare_calls(ray: Any, work: Work, shares: Mapping[str, int], settings: Mapping[str, str]) -> tuple[Any, Any]:
    """Return the remote function that does a part, with environment variables, and the board on this machine to which
    it reports."""
    settings = {**settings, **QUIET, **{name: str(shares["num_cpus"]) for name in THREADS}}
    settings |= {name: value for name, value in os.environ.items() if name.startswith("KCNN_")}
    # A worker that goes on to the next part keeps TensorFlow, but a graphics card too.
    most = 1 if shares["num_gpus"] else 0
    call = ray.remote(**shares, max_calls=most, max_retries=RETRIES, runtime_env={"env_vars": settings})(call_work)
    # Soft, it is on another machine at times, whose loss ends all.
    node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return call, ray.remote(Board).options(num_cpus=0, scheduling_strategy=node).remote()


def collect(ray: Any, task: Any, name: str) -> Any:
    """Return what a task gives: its own error where it fails, a KcnnError where its worker was lost too often."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except ray.exceptions.RayError as error:
        lost = type(error).__name__
        return KcnnError(
            f"{name}: its worker was lost {RETRIES + 1} times ({lost})",
            "look for too little memory on that machine; what is done is kept: --resume",
        )


def call_work(work: Work, part: Any, name: str, board: Any) -> Any:
    """Do one part, in a worker."""
    board.add.remote(name, "begin", {"machine": socket.gethostname()})
    return work(part, Sent(board, name))


class Board:
    """Where workers leave what is to be shown; an actor of Ray."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.stopped: set[str] = set()

    def add(self, name: str, event: str, values: dict[str, Any]) -> None:
        self.events.append((name, event, values))

    def stop(self, name: str) -> None:
        self.stopped.add(name)

    def is_stopped(self, name: str) -> bool:
        return name in self.stopped

    def take(self) -> list[tuple[str, str, dict[str, Any]]]:
        taken, self.events = self.events, []
        return taken


class Sent(Silent):
    """A Progress of a worker, which sends epochs and notes to the board."""

    def __init__(self, board: Any, name: str):
        self.board, self.name = board, name

    def report(self, **values: Any) -> None:
        """Send what `judge` is called with."""
        self.board.add.remote(self.name, "report", values)

    def is_stopped(self) -> bool:
        import ray

        return bool(ray.get(self.board.is_stopped.remote(self.name)))

    def say(self, text: str) -> None:
        if text.startswith(("note:", "left out:")):
            self.board.add.remote(self.name, "say", {"text": text})

    def fold(self, fold: int, images: int, steps: int, epochs: int, done: int) -> None:
        self.board.add.remote(self.name, "epoch", {"epoch": done, "epochs": epochs})

    def epoch(self, row: Mapping[str, float], better: bool, seconds: float) -> None:
        values = {"epoch": int(row["epoch"]), "row": dict(row), "seconds": seconds}
        self.board.add.remote(self.name, "epoch", values)


@contextmanager
def join_cluster(address: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """Give Ray, joined to a cluster, or begun on this machine, for the block, and the environment of its tasks."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    known = require_ray(address)
    if not known:  # nobody else of this machine may send it code
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray
    import ray.util.scheduling_strategies

    own: dict[str, Any] = {} if known else {"include_dashboard": False}
    kept = {} if known else {name: os.environ.get(name, "") for name in NOWHERE}
    try:
        with environment({} if known else NOWHERE):
            ray.init(known or "local", logging_level=logging.ERROR, log_to_driver=False, namespace="kcnn", **own)
    except Exception as error:  # a ConnectionError, a TimeoutError, or one of Ray's own
        reason = " ".join(str(error).split())[:200]
        raise KcnnError(f"Ray at {known or 'this machine'} cannot be joined: {reason}", "ray status") from None
    try:
        yield ray, kept
    finally:
        ray.shutdown()


@contextmanager
def explain_loss(ray: Any) -> Iterator[None]:
    """Raise a KcnnError where, in the block, the process of Ray is lost through which this one is joined."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise KcnnError(
            f"Ray on this machine has ended ({type(error).__name__})",
            "what is done is kept: run the same command again, train with --resume; of a cluster, look at ray status",
        ) from None


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def require_ray(address: str) -> str:
    """Return the address of the cluster to join, "" for none. Raises KcnnError where Ray is not installed, or nothing
    listens at the address: Ray itself would end the process, half a minute later."""
    if find_spec("ray") is None:
        raise KcnnError("--on ray needs the package ray", "pip install 'kcnn[ray]'")
    known = os.environ.get("RAY_ADDRESS", "") if address == "ray" else address
    if known in ("", "local", "auto"):
        return known
    host, _, port = known.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise KcnnError(
            f"Ray at {known} cannot be reached: {error}", "on the cluster's first machine: ray status"
        ) from None
    return known


def share_resources(ray: Any, parts: int) -> dict[str, int]:
    """Return what each part gets: a graphics card where there are any, and an equal share of the cores, of as many
    parts as can be at work at once."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cards, cores = (int(sum(node.get(kind, 0) for node in nodes)) for kind in ("GPU", "CPU"))
    at_once = max(1, min(parts, cards or parts))
    fits = max((int(node.get("CPU", 0)) for node in nodes), default=1)
    return {"num_cpus": max(1, min(fits, cores // at_once)), "num_gpus": 1 if cards else 0}


def count_at_once(ray: Any, shares: Mapping[str, int], parts: int) -> int:
    """Return how many of so many parts have their share at the same time."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    kinds = [(kind, share) for kind, share in (("CPU", shares["num_cpus"]), ("GPU", shares["num_gpus"])) if share]
    return max(1, min(parts, sum(min(int(node.get(kind, 0)) // share for kind, share in kinds) for node in nodes)))


def count_nodes(ray: Any) -> str:
    return count_of(sum(node["Alive"] for node in ray.nodes()), "machine")


def name_shares(shares: Mapping[str, int]) -> str:
    cores = count_of(shares["num_cpus"], "core")
    return f"a graphics card and {cores}" if shares["num_gpus"] else cores
