"""The house's own rules: which way imports go, what starting costs, what is public."""

import ast
import json
import subprocess
import sys
import time

from conftest import REPOSITORY, environment

import kaggle_cnn

# From the top of the house to the bottom: a file may import files below it, and none above or beside its own name.
ROOMS = [
    "__main__", "cli", "cli.competitions", "cli.training", "cli.runs", "cli.comparison", "cli.reporting",
    "cli.submissions", "cli.show_results", "cli.show_network", "cli.pictures", "cli.results", "cli.terminal",
    "insight.report", "insight.evaluation", "insight.tables", "insight.compare", "insight.overview", "insight.charts",
    "insight.sheets", "insight.canvas", "insight.progress", "insight.metrics",
    "learn.train", "learn.examine", "learn.inside", "learn.fit", "learn.callbacks", "learn.predict", "learn.on_device",
    "learn.layers", "learn.optimizers", "learn.backend",
    "__init__", "learn.recipe", "learn.run", "learn.predictions",
    "data.batches", "data.augment", "data.survey", "data.dataset", "data.inspection", "data.images", "data.decode",
    "data.pixels",
    "competition.fetch", "competition.kaggle_host", "competition.kaggle_refusals",
    "competition.download", "competition.kaggle_login", "competition.kaggle_client",
    "competition.local_host", "competition.ledger", "competition.archive", "competition.submission",
    "competition.layout", "competition.answer", "competition.class_folders", "competition.label_table",
    "competition.pixel_rows", "competition.labels", "competition.listing", "competition.table",
    "competition.competition",
    "workspace", "files", "errors",
]  # fmt: skip
FLOORS = {"insight", "learn", "data", "competition"}  # packages that hold rooms and nothing else
HEAVY = {"keras", "tensorflow", "jax", "torch", "numpy", "pandas", "sklearn", "cv2", "kaggle", "albumentations", "PIL"}


def sources():
    package = REPOSITORY / "kaggle_cnn"
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        name = name if name == "__init__" else name.removesuffix(".__init__")
        if not name.startswith(("competition.demo", "recipes.")) and name not in FLOORS:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kaggle_cnn":
            inside = node.module.removeprefix("kaggle_cnn").lstrip(".")
            for alias in node.names:
                whole = f"{inside}.{alias.name}".lstrip(".")
                yield whole if whole in ROOMS else inside or "__init__"


def test_imports_go_down_only():
    for name, tree in sources():
        for target in imported(tree):
            assert ROOMS.index(name) < ROOMS.index(target), f"{name} imports {target}"


def test_only_learn_and_batches_import_keras():
    rooms = ("train", "fit", "callbacks", "predict", "on_device", "layers", "optimizers", "backend", "inside")
    allowed = {"data.batches", *(f"learn.{name}" for name in rooms)}
    for name, tree in sources():
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert name in allowed or not any(module.split(".")[0] in ("keras", "tensorflow") for module in modules), name


def test_recipes_import_no_recipe_and_no_tensorflow():
    for path in (REPOSITORY / "recipes").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "tensorflow" not in text.replace("TensorFlow", "")
        assert "import recipes" not in text
        assert "from recipes" not in text


def test_public_names():
    assert set(kaggle_cnn.__all__) == {"KcnnError", "Recipe", "__version__"}


def modules_after(code: str) -> set[str]:
    program = f"import sys, json\nsys.argv = ['kcnn']\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_help_imports_nothing_heavy_and_comes_at_once(kcnn):
    loaded = modules_after(
        "from kaggle_cnn.cli import main\nsys.argv.append('--help')\ntry: main()\nexcept SystemExit: pass"
    )
    assert not loaded & HEAVY
    times = []
    for _ in range(3):
        begun = time.monotonic()
        kcnn("--help")
        times.append(time.monotonic() - begun)
    assert min(times) < 0.5


def test_fetch_look_runs_and_submit_never_import_keras(train_tiny, tiny_workspace, kcnn):
    train_tiny(epochs=1)
    (tiny_workspace.root / "data" / "colours" / "competition.toml").write_text(
        (tiny_workspace.root / "data" / "colours" / "competition.toml")
        .read_text()
        .replace('answers = ""', 'answers = "truth.csv"')
    )
    for arguments in (["fetch"], ["look"], ["runs"], ["submit", "--yes"], ["scores"], ["recipes"]):
        code = f"""
import os
os.chdir({str(tiny_workspace.root)!r})
from kaggle_cnn.cli import main
sys.argv += {arguments!r}
try: main()
except SystemExit as stop: assert not stop.code, stop.code
"""
        assert not modules_after(code) & {"keras", "tensorflow", "kaggle"}, arguments
