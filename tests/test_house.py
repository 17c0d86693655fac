"""The house's own rules: which way imports go, what starting costs, what is public."""

import ast
import json
import re
import subprocess
import sys
import time
from graphlib import TopologicalSorter

import pytest
from conftest import REPOSITORY, edit_competition, environment

import kaggle_cnn

# From the top of the house to the bottom, a line each: a file imports lines below its own, or files of its own room.
RANKS = [
    {"__main__"},
    {"cli"},
    {"__init__"},
    {"submitting", "doctor", "tuning", "competing"},
    {"trials"},
    {"training"},
    {"elsewhere"},
    {"labels"},
    {"api"},
    {"pictures"},
    {"backbone"},
    {"learn", "insight"},
    {"runs"},
    {"data"},
    {"competition"},
    {"backbones"},
    {"kaggle"},
    {"search_space"},
    {"recipe", "augment", "layers", "optimizers"},
    {"tta"},
    {"workspace"},
    {"files", "parsing", "engine", "group"},
    {"progress"},
    {"errors", "plural"},
]
RANK = {room: number for number, rooms in enumerate(RANKS) for room in rooms}
KERAS_ROOMS = {"learn", "layers", "optimizers", "backbone"}
HEAVY = {"keras", "tensorflow", "jax", "torch", "numpy", "pandas", "sklearn", "cv2", "kaggle", "albumentations", "PIL"}


def sources() -> dict[str, ast.Module]:
    """Module, as in "data.batches" -> what is written there."""
    package = REPOSITORY / "kaggle_cnn"
    found = {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        if not name.startswith(("competition.demo", "recipes.")):
            found[name if name == "__init__" else name.removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


def imported(tree: ast.Module, known: set[str]) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kaggle_cnn":
            module = node.module.removeprefix("kaggle_cnn").lstrip(".")
            for alias in node.names:
                whole = f"{module}.{alias.name}".lstrip(".")
                found.add(whole if whole in known else module or "__init__")
    return found


def room_of(module: str) -> str:
    return module.split(".")[0]


def test_imports_go_down_and_not_to_a_neighbour():
    files = sources()
    assert {room_of(name) for name in files} == set(RANK)
    for name, tree in files.items():
        for target in imported(tree, set(files)):
            own, other = room_of(name), room_of(target)
            assert own == other or RANK[own] < RANK[other], f"{name} imports {target}"


def test_no_circle():
    files = sources()
    graph = {name: imported(tree, set(files)) - {name} for name, tree in files.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_only_learn_and_the_front_door_import_keras():
    for name, tree in sources().items():
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if room_of(name) not in KERAS_ROOMS:
            assert not {module.split(".")[0] for module in modules} & {"keras", "tensorflow"}, name


def test_recipes_import_no_recipe_and_no_tensorflow():
    for path in (REPOSITORY / "recipes").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "tensorflow" not in text.replace("TensorFlow", "")
        assert "import recipes" not in text
        assert "from recipes" not in text


def test_public_names():
    verbs = {
        "blend",
        "compare",
        "compete",
        "evaluate",
        "fetch",
        "find_label_problems",
        "predict",
        "probe",
        "submit",
        "train",
        "train_tabular",
        "tune",
    }
    assert set(kaggle_cnn.__all__) == {"KcnnError", "Phase", "Recipe", "__version__", *verbs}
    for name in kaggle_cnn.__all__:
        assert getattr(kaggle_cnn, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        kaggle_cnn.nothing  # noqa: B018


def functions():
    """Module and definition of every function of the package."""
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield name, node


def test_functions_are_short_and_typed():
    for name, node in functions():
        where = f"{name}.{node.name}"
        assert node.end_lineno - node.lineno <= 60, where
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        free = [each.arg for each in arguments if each.arg not in ("self", "cls") and each.annotation is None]
        assert not free, f"{where} has untyped parameters: {free}"


# Words that stand for two things, or for none: see the glossary in docs/glossary.md.
UNUSED = r"answers?|knobs?|told|mend(ed|s|ing)?|doubles?|parted|surveys?|examined?|inside|twins?|worth|brings?"


def test_one_word_for_each_thing():
    """In everything that a user reads, and in every name."""
    pattern = re.compile(rf"(?<![\w-])({UNUSED})(?![\w-])|\b(is|are) no (image|number|class|classification|csv|file)\b")
    found = []
    for folder, kind in (
        ("kaggle_cnn", "*.py"),
        ("kaggle_cnn", "*.html"),
        ("recipes", "*.py"),
        ("docs", "*.md"),
        (".", "README.md"),
    ):
        for path in sorted((REPOSITORY / folder).rglob(kind) if folder != "." else [REPOSITORY / kind]):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                words = re.sub(r"_", " ", line)
                if (match := pattern.search(words)) and path.name != "glossary.md":
                    found.append(f"{path.relative_to(REPOSITORY)}:{number}: {match[0]}")
    assert not found, "\n".join(found)


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
        kcnn("--help", afresh=True)
        times.append(time.monotonic() - begun)
    assert min(times) < 0.5  # 0.2 on an idle machine; others train beside this test


@pytest.mark.usefixtures("eager")
def test_fetch_look_runs_and_submit_never_import_keras(train_tiny, tiny_workspace, kcnn):
    train_tiny(epochs=1)
    edit_competition(tiny_workspace, solution="truth.csv")
    for arguments in (["fetch"], ["look"], ["runs"], ["submit", "--yes"], ["submissions"], ["recipes"]):
        code = f"""
import os
os.chdir({str(tiny_workspace.root)!r})
from kaggle_cnn.cli import main
sys.argv += {arguments!r}
try: main()
except SystemExit as stop: assert not stop.code, stop.code
"""
        assert not modules_after(code) & {"keras", "tensorflow", "kaggle"}, arguments
