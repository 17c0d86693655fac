"""Pictures: their contents are right, and no text overlaps another."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import numpy as np
import pandas as pd
import pytest
from conftest import environment, in_this_process
from matplotlib.text import Text
from PIL import Image

from kaggle_cnn.errors import KcnnError
from kaggle_cnn.insight import canvas, charts, sheets
from kaggle_cnn.insight.tables import find_best_row
from kaggle_cnn.runs.run import open_run

NAMES = ["T-shirt", "ankle boot", "長い名前のクラス", "$x_1$ & <b>", f"a name so {'very ' * 9}long"]
pytestmark = pytest.mark.filterwarnings("error:Glyph .* missing from font:UserWarning")


def texts_of(drawn) -> list:
    """The boxes of all texts of a figure, in pixels from below."""
    drawn.draw_without_rendering()  # lays out as drawing does
    renderer = drawn.canvas.get_renderer()
    hidden = set()  # the ticks beyond an axis' ends, which are there but never drawn
    for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    shown = [each for each in drawn.findobj(Text) if each.get_visible() and each.get_text().strip()]
    shown = [each for each in shown if each not in hidden]
    return [(each.get_text(), each.get_window_extent(renderer)) for each in shown]


def require_legible(drawn):
    """No two texts overlap by more than a pixel, and none leaves the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(drawn)
    boxes = texts_of(drawn)
    width, height = drawn.get_size_inches() * canvas.DPI
    for text, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, text
    edges = np.array([[box.x0, box.y0, box.x1, box.y1] for _, box in boxes])
    for number, edge in enumerate(edges):
        across = np.minimum(edges[:, 2], edge[2]) - np.maximum(edges[:, 0], edge[0])
        down = np.minimum(edges[:, 3], edge[3]) - np.maximum(edges[:, 1], edge[1])
        on = np.flatnonzero((across > 1) & (down > 1))
        assert on.tolist() == [number], [boxes[each] for each in on]


def require_page(drawn):
    """It is legible, and not larger than a screen or two."""
    require_legible(drawn)
    assert max(drawn.get_size_inches() * canvas.DPI) <= 1.02 * canvas.PAGE


def classes_of(count: int) -> list[str]:
    return [f"{NAMES[number % len(NAMES)]}{number}" for number in range(count)]


def noise(side: int = 40, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side + 9, channels)).astype(np.uint8)


@pytest.mark.parametrize("count", [2, 10, 99])
def test_confusion_balance_and_contact_are_legible_and_within_a_page(count):
    draw = np.random.default_rng(count)
    counts = draw.integers(0, 30, (count, count)) * (draw.random((count, count)) < 3 / count) + np.diag([1234] * count)
    names = classes_of(count)
    require_page(charts.confusion(counts, names, "resnet-001: 90 % of 1,000 validation images, tta flip"))
    sizes = draw.integers(20, 900, (300, 2))
    require_page(charts.balance(dict(zip(names, range(7, 7 + count), strict=True)), sizes, "classes"))
    values = {name: {"count": 1234.0, "min": -1.25, "mean": 0.5 * n, "max": 99.5} for n, name in enumerate(names)}
    require_legible(charts.ranges(values, sizes, "values"))
    parts = {name: {"right": 90 + n, "missed": n, "false": 1, "absent": 0} for n, name in enumerate(names)}
    require_page(charts.outcomes(parts, "resnet-001"))
    rows = [(name, "1,234 images", [noise()] * 3) for name in names]
    require_page(sheets.contact(rows[: sheets.MOST_ROWS], 96, "a competition"))


def test_equal_bars_and_one_size_are_sentences():
    one, several = np.full((9, 2), 32), np.array([[32, 32], [40, 30]])
    same, other = {"cat": 5, "dog": 5}, {"cat": 5, "dog": 6}
    assert charts.balance(same, one, "pets") is None
    for counts, sizes, words, bars, plots in (
        (same, several, "pets; each of 2 classes has 5", 0, 1),
        (other, one, "pets; every image has 32x32 pixels", 2, 0),
        (other, several, "pets", 2, 1),
    ):
        page, *plotted = charts.balance(counts, sizes, "pets").axes
        assert page.texts[0].get_text() == words
        assert (len(page.patches), len(plotted)) == (bars, plots)


SCRIPTS = {
    "Japanese": "犬とねこ",
    "Chinese": "学校电车 漢字繁體",
    "Korean": "강아지",
    "Arabic": "قطة",
    "Cyrillic": "Дерево",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_a_font(script):
    """Whatever fonts are installed: those of packages have the letters."""
    from fontTools.ttLib import TTFont
    from matplotlib import font_manager

    always = ["DejaVu Sans", "Noto Sans SC", "NanumGothic"]
    assert set(always) <= set(canvas.find_fonts())
    known = set()
    for name in always:
        known |= set(TTFont(font_manager.findfont(name)).getBestCmap())
    assert {ord(letter) for letter in SCRIPTS[script]} <= known


def test_arabic_letters_are_joined():
    """Alone, each letter is wider than in its word."""
    assert canvas.measure_text(SCRIPTS["Arabic"], 20) < 0.9 * sum(
        canvas.measure_text(letter, 20) for letter in SCRIPTS["Arabic"]
    )


def test_hundreds_of_classes_and_images_are_within_a_page():
    names = classes_of(700)
    counts = np.diag([9] * 700)
    counts[5, 6] = counts[600, 6] = 3
    matrix = charts.confusion(counts, names, "resnet-001")
    assert "the 120 of 700 classes with the most errors" in matrix.texts[-1].get_text()
    bars = charts.balance(dict(zip(names, range(1, 701), strict=True)), np.full((9, 2), 32), "classes")
    rows = [(name, "1 image", [noise()]) for name in names[: sheets.MOST_ROWS]]
    entries = [{"pixels": noise(), "name": "1.png", "lines": [("true cat", "green")]}] * 200
    for drawn in (matrix, bars, sheets.contact(rows, 96, "samples"), sheets.mistakes(entries, "mistakes")):
        assert max(drawn.get_size_inches() * canvas.DPI) <= 1.02 * canvas.PAGE


@pytest.mark.parametrize("count", [1, 7, 24])
def test_grids_are_legible(count):
    entries = [
        {
            "pixels": noise(channels=1 + 2 * (number % 2)),
            "name": f"train/{name}/a file's name that goes on and on {number}.png",
            "true": name,
            "predicted": name,
            "probability": 1.0,
            "label": name,
            "distance": 0.123456,
            "part": "train",
            "note": "train, distance 3",
            "lines": [(f"true {name}", "green"), (f"100% {name}", "red")],
            "best": [(other, 0.2) for other in classes_of(5)],
        }
        for number, name in enumerate(classes_of(count))
    ]
    require_page(sheets.mistakes(entries, "mistakes " * 30))
    ranked = [{**each, "true": [each["true"]], "predicted": [NAMES[0]]} for each in entries]
    require_legible(sheets.predictions(ranked, "the five most probable"))
    said = [{**each, "said": [(each["true"], 0.5), (NAMES[4], 0.25)], "right": [True, False]} for each in entries]
    require_legible(sheets.disagreements(said, ["tiny-001", "a-recipe-with-a-long-name-002"], "disagreements"))
    require_legible(sheets.neighbours(noise(), "x" * 90, entries, "neighbours"))
    require_legible(sheets.pairs([[each, each] for each in entries], "pairs"))
    looks = [(f"predicted: {NAMES[4]} 97%", "red", np.zeros((40, 49))), ("true", "green", np.ones((40, 49)))]
    require_legible(sheets.gradcam(noise(), "x" * 90, looks))


@pytest.mark.parametrize(("runs", "epochs"), [(1, 1), (1, 350), (8, 12)])
def test_curves_are_legible(runs, epochs):
    draw = np.random.default_rng(0)

    def history():
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_quadratic_weighted_kappa")
        columns = {name: draw.random(epochs) for name in names}
        return pd.DataFrame({"epoch": range(1, epochs + 1), **columns})

    histories = {f"a-recipe-with-a-rather-long-name-{n:03}": [history() for _ in range(1 + n % 5)] for n in range(runs)}
    require_legible(charts.curves(histories, "val_accuracy", True))
    require_legible(charts.curves(histories, "val_quadratic_weighted_kappa", True))
    require_legible(charts.curves(histories, "val_loss", False))


def test_best_epoch_is_marked():
    rows = {"epoch": [1, 2, 3], "loss": [3, 2, 1], "accuracy": [0.3, 0.4, 0.5]}
    history = pd.DataFrame({**rows, "val_loss": [3, 2, 4], "val_accuracy": [0.3, 0.6, 0.5]})
    history["val_log_loss"] = [3, 4, 2]
    for by, higher, best in (("val_accuracy", True, 2), ("val_log_loss", False, 3), ("val_log_loss", True, 2)):
        drawn = charts.curves({"tiny-001": [history]}, by, higher)
        marked = [line.get_xdata()[0] for axes in drawn.axes for line in axes.lines if line.get_marker() == "o"]
        assert marked == [best, best]
        title = {"val_accuracy": "accuracy", "val_log_loss": "log loss"}[by]
        assert [axes.get_title(loc="left") for axes in drawn.axes] == ["loss", title]
        curves = [len([line for line in axes.lines if len(line.get_xdata()) == 3]) for axes in drawn.axes]
        assert curves == [2, 2 if by == "val_accuracy" else 1]  # of training only the columns that exist
    assert find_best_row(history, "val_loss", False)["epoch"] == 2
    assert [axes.get_title(loc="left") for axes in charts.curves({"a": [history]}, "val_loss", False).axes] == ["loss"]


def test_errors_are_red_and_right_cells_blue():
    drawn = charts.confusion(np.array([[8, 2], [0, 5]]), ["cat", "dog"], "tiny-001")
    cells = np.asarray(drawn.axes[0].images[0].get_array())
    assert cells[0, 0, 2] > cells[0, 0, 0]
    assert cells[0, 1, 0] > cells[0, 1, 2]
    assert (cells[1, 0] == 1).all()  # no image: white


def test_confused_classes_are_next_to_each_other():
    counts = np.diag([50] * 6)
    counts[0, 3] = counts[3, 0] = counts[1, 4] = counts[4, 1] = 20
    order = charts.cluster_order(counts)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(4)) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_are_exactly_the_weights(channels, tmp_path):
    """A pixel for each weight: the least of a filter black, the greatest white, in between in proportion."""
    kernel = np.random.default_rng(0).integers(0, 256, (5, 4, channels, 7)).astype(np.float32)
    kernel[0, 0], kernel[4, 3] = 0, 255
    [path] = canvas.save(sheets.filters("conv2d", (kernel - 100) / 37), tmp_path / "filters.png")
    drawn = np.asarray(Image.open(path).convert("RGB"))
    times, gap = 64 // 5, 4
    for number in range(7):
        top, left = 48, 20 + number * (4 * times + gap)
        tile = drawn[top : top + 5 * times, left : left + 4 * times]
        assert (tile == kernel[..., number].astype(np.uint8).repeat(times, 0).repeat(times, 1)).all()


def test_deeper_filters_are_a_grid(tmp_path):
    kernel = np.zeros((3, 3, 70, 2), np.float32)
    kernel[1, 1] = 1
    drawn = sheets.filters("conv2d_1", kernel)
    require_legible(drawn)
    pixels = np.asarray(Image.open(canvas.save(drawn, tmp_path / "grid.png")[0]).convert("L"))
    assert (pixels == 255).sum() == 2 * 64 * 36  # a white point of 6x6 in each of two rows of 64


def corner_model(keras, form: str):
    """The logit of class 1 is the brightness of the lower right corner, that of class 0 of the upper left one."""
    from kaggle_cnn.competition.metrics import find_metric
    from kaggle_cnn.competition.task import Task
    from kaggle_cnn.learn.model import cut_head

    layers = keras.layers
    inputs = keras.Input((16, 16, 1), dtype="uint8")
    convolution = layers.Conv2D(1, 3, padding="same", use_bias=False, kernel_initializer="ones", activation="relu")
    last = layers.Dense(2, use_bias=False)
    tail = [layers.MaxPooling2D(4), layers.Dropout(0.5), layers.Flatten(), last]
    tail += [layers.Activation("softmax")] if form == "saved" else []
    if form == "sequential":
        model = keras.Sequential([inputs, layers.Rescaling(1 / 255), convolution, *tail])
    else:
        x = layers.Rescaling(1 / 255)(inputs)
        if form == "nested":
            inner = keras.Input((16, 16, 1))
            x = keras.Sequential(tail)(keras.Model(inner, convolution(inner))(x))
        else:
            x = convolution(x)
            for layer in tail:
                x = layer(x)
        model = keras.Model(inputs, x)
    weights = np.zeros((16, 2), np.float32)
    weights[0, 0], weights[15, 1] = 50, 50
    last.set_weights([weights])
    return cut_head(model, Task("multiclass", ("a", "b"), find_metric("accuracy"))) if form == "saved" else model


@pytest.mark.parametrize("form", ["functional", "saved", "nested", "sequential"])
def test_grad_cam_lights_the_corner_that_counts(keras, form):
    from kaggle_cnn.learn.network import grad_cam

    image = np.zeros((1, 16, 16, 1), np.uint8)
    image[0, 1:3, 1:3] = image[0, 13:15, 13:15] = 255
    model = corner_model(keras, form)
    before = model.predict(image, verbose=0)
    for wanted, corner in ((0, (slice(0, 4), slice(0, 4))), (1, (slice(12, 16), slice(12, 16)))):
        alone = image.copy()
        alone[0, 8:, 8:] *= wanted
        alone[0, :8, :8] *= 1 - wanted
        heat = grad_cam(model, alone, wanted)
        assert heat.shape == (16, 16)
        assert heat.max() == 1
        assert heat[corner].sum() > 0.9 * heat.sum()
    assert (model.predict(image, verbose=0) == before).all()  # grad_cam does not change the model


def test_grad_cam_looks_at_the_last_map_that_is_not_too_small_or_at_the_layer_that_is_named(keras):
    from kaggle_cnn.learn.network import grad_cam

    inputs = x = keras.Input((16, 16, 1), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(x)
    for number, side in enumerate((16, 8, 4, 2)):
        weights = {"kernel_initializer": "ones", "use_bias": False, "padding": "same", "name": f"map_{side}"}
        x = keras.layers.Conv2D(1, 2 if number else 1, strides=2 if number else 1, **weights)(x)
    dense = keras.layers.Dense(2, kernel_initializer="ones", use_bias=False, name="last")
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(x)))
    image = np.zeros((1, 16, 16, 1), np.uint8)
    image[0, 4, 4] = image[0, 4, 8] = 255
    heat = {name: grad_cam(model, image, 0, name) for name in ("map_16", "map_8", "map_4")}
    assert (heat["map_16"][4] > 0.5).sum() == 2
    assert (heat["map_8"][4] > 0.5).sum() > 2
    assert (heat["map_4"] != heat["map_8"]).any()
    assert (grad_cam(model, image, 0) == grad_cam(model, image, 0, "map_8")).all()
    with pytest.raises(KcnnError, match="cannot look at 'last'") as caught:
        grad_cam(model, image, 0, "last")
    assert caught.value.hint == "it can look at: map_16, map_8, map_4, map_2"
    with pytest.raises(KcnnError, match="no layer is called 'map_9'"):
        grad_cam(model, image, 0, "map_9")
    assert not grad_cam(model, 0 * image, 0).any()  # nothing speaks for it


def test_two_nested_models_may_have_layers_of_one_name(keras):
    from kaggle_cnn.learn.network import activations, read_kernel

    def part(channels):
        inner = keras.Input((16, 16, channels))
        return keras.Model(inner, keras.layers.Conv2D(4, 3, name="conv")(inner), name=f"part_{channels}")

    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Conv2D(2, 3)(part(3)(keras.layers.Rescaling(1 / 255)(inputs)))
    x = keras.layers.ZeroPadding2D(2)(x)
    x = part(2)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    assert read_kernel(model)[0] == "conv"
    walk = activations(model, np.zeros((1, 16, 16, 3), np.uint8))
    assert len({name for name, what, _ in walk if what == "convolution"}) == 3


def test_grad_cam_needs_a_convolution(keras):
    from kaggle_cnn.learn.network import grad_cam

    inputs = keras.Input((16, 16, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(KcnnError, match="no convolution"):
        grad_cam(model, np.zeros((1, 16, 16, 1), np.uint8), 0)


def test_walk_through_a_network_and_its_outline(keras):
    from kaggle_cnn.learn.network import activations, last_features, outline, read_kernel

    inner = keras.Sequential([keras.Input((8, 8, 6)), keras.layers.DepthwiseConv2D(3, activation="relu")], name="inner")
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Conv2D(6, 3, padding="same")(keras.layers.Rescaling(1 / 255)(inputs))
    skip = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(x))
    x = keras.layers.Flatten()(inner(keras.layers.Dropout(0.5)(skip)))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Dense(5)(x)))
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)

    walk = activations(model, images)
    assert [(what, maps.shape) for _, what, maps in walk] == [
        ("convolution", (16, 16, 6)),
        ("relu", (16, 16, 6)),
        ("pooling", (8, 8, 6)),
        ("convolution", (6, 6, 6)),
        ("relu", (6, 6, 6)),
    ]
    assert walk[3][2].min() < 0
    assert (walk[4][2] == np.maximum(walk[3][2], 0)).all()
    pool = keras.Model(model.input, skip).predict(images, verbose=0)
    np.testing.assert_allclose(walk[2][2], pool[0], rtol=1e-5)
    assert last_features(model).output_shape == (None, 5)
    assert read_kernel(model)[1].shape == (3, 3, 3, 6)
    assert read_kernel(model, "depthwise_conv2d")[1].shape == (3, 3, 1, 6)
    rows = {row["name"]: row for row in outline(model)}
    assert sum(row["parameters"] for row in rows.values()) == model.count_params()
    assert rows[walk[0][0]]["operations"] == 16 * 16 * 3 * 3 * 3 * 6
    assert rows["inner/depthwise_conv2d"]["operations"] == 6 * 6 * 3 * 3 * 6
    flatten = next(row for row in rows.values() if row["kind"] == "Flatten")
    assert flatten["inputs"] == ["inner/depthwise_conv2d"]


def test_the_nearest_are_others_than_the_image_itself():
    from kaggle_cnn.learn.single_images import find_nearest

    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    features[20] = 2 * features[10]
    for metric in ("euclidean", "cosine"):
        order, distances = find_nearest(features, features[7], metric, 5)
        assert (order[0], distances[0]) == (7, 0)
        assert (np.diff(distances) >= 0).all()
    assert set(find_nearest(features, features[10], "cosine", 2)[0]) == {10, 20}
    features[5] = features[30]
    order, distances = find_nearest(features, features[30], "euclidean", 3, 30)
    assert (order[0], distances[0]) == (5, 0)
    assert 30 not in order


@pytest.mark.usefixtures("eager")
def test_every_kind_from_the_command_line(train_tiny, tiny_workspace, monkeypatch):
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.runs.scores import best_scores

    run = train_tiny(epochs=2)
    monkeypatch.chdir(tiny_workspace.root)
    task = open_competition(tiny_workspace, "colours").task
    image = "red one/pic_0003.jpg"
    asked = {
        "filters": [], "activations": [image], "curves": [], "confusion": ["--order", "cluster"], "mistakes": [],
        "predictions": ["-n", "4"], "neighbours": [image, "--metric", "cosine"], "gradcam": [image, run.id],
        "samples": [], "augmentation": ["recipes/tiny.py"], "model": ["--svg"],
    }  # fmt: skip
    for kind, arguments in asked.items():
        if kind == "mistakes" and best_scores(run, task)[1]["accuracy"] == 1:
            continue
        lines = in_this_process("show", kind, *arguments).splitlines()
        paths = [line for line in lines if line.startswith("/")]
        assert len(paths) == 1 + (kind == "model"), (kind, lines)
        assert min(Image.open(paths[0]).size) >= 100, kind
    assert "<svg" in (run.folder / "pictures" / "model.svg").read_text()
    table = in_this_process("show", "neighbours", image)
    first = next(line for line in table.splitlines() if "pic_" in line)
    assert "red one/pic_0003.jpg" not in table.split("distance")[1]
    assert float(first.split()[-1]) > 0
    assert open_run(tiny_workspace, "colours").id == run.id


def test_file_names_of_pictures_are_short_and_distinct():
    from kaggle_cnn.pictures.picture import as_file_name

    assert as_file_name("train/Ankle boot/2171.PNG") == "train_Ankle_boot_2171"
    assert as_file_name("train.csv#17") != as_file_name("train.csv#18")
    long = [as_file_name(f"{n}{'長' * 200}.png") for n in range(2)]
    assert long[0] != long[1]
    assert max(len(name.encode()) for name in long) <= 110


@pytest.mark.usefixtures("eager")
@pytest.mark.usefixtures("eager")
def test_a_picture_that_cannot_be_drawn_is_an_error(train_tiny, tiny_workspace, monkeypatch):
    train_tiny(epochs=1)
    monkeypatch.chdir(tiny_workspace.root)
    (tiny_workspace.root / "recipes" / "broken.py").write_text(
        "from kaggle_cnn import Recipe\ndef broken(shape, outputs):\n    1 / 0\nrecipe = Recipe(model=broken)\n"
    )
    for arguments, error in [
        (["gradcam", "nobody"], "no image 'nobody'"),
        (["gradcam", "x" * 300], "no image 'xxx"),
        (["activations", "pic_0001"], "may be one of 3 images"),
        (["mistakes", "--true", "read one"], "no class is called 'read one'"),
        (["filters", "--layer", "conv"], "no convolution 'conv'"),
        (["model", "recipes/broken.py"], "cannot be built .* ZeroDivisionError"),
    ]:
        with pytest.raises(KcnnError, match=error):
            in_this_process("show", *arguments)


@pytest.mark.parametrize("reply", [b"\x1b[?62;4c", b"\x1b[?62c", b""])
def test_in_a_terminal(reply, tmp_path):
    """A terminal that reports sixel gets a picture; one that does not, or reports nothing, gets the text."""
    program = f"""
from pathlib import Path
import numpy as np
from kaggle_cnn.cli.show import present
from kaggle_cnn.insight.sheets import mosaic
from kaggle_cnn.pictures.picture import Picture
figure = mosaic([np.zeros((4, 4, 1), np.uint8)], 1, 8, "one")
present(Picture(figure, Path({str(tmp_path / "one.png")!r}), lambda width: "by the rows"), False)
"""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 800, 1000))
    settings = {"env": environment(), "stdin": child, "stdout": child, "stderr": child, "start_new_session": True}
    done = subprocess.Popen([sys.executable, "-c", program], **settings)
    os.close(child)
    written = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while received := os.read(parent, 65536):
            written += received
            if b"\x1b[c" in received:
                os.write(parent, reply)
    assert done.wait() == 0, written
    sixel = b";4" in reply
    assert (b"\x1bP" in written, b"by the rows" in written) == (sixel, not sixel)
    assert str(tmp_path / "one.png").encode() in written
