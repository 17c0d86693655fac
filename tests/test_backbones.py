"""Pretrained backbones: their weights from a hub on this computer, from the cache, attached; runs as backbones."""

import hashlib
import re
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import REPOSITORY, in_this_process

from kaggle_cnn.backbones import catalogue, weights
from kaggle_cnn.backbones.catalogue import find_backbone, list_backbones
from kaggle_cnn.backbones.weights import find_weights, get_weights
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.progress import Silent

SMALL = "MobileNetV3Small"
MODIFIED = "Wed, 21 Oct 2026 07:28:00 GMT"


class Hub:
    """Serves one file at every address: from the byte that is asked for; `cut` ends the next responses after so many
    bytes; `status` is that of all."""

    def __init__(self, content: bytes):
        self.content, self.cut, self.status, self.asked = content, [], 200, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.asked.append((self.path, self.headers.get("Range")))
                if hub.status != 200:
                    return self.send_error(hub.status)
                begins = int((re.match(r"bytes=(\d+)-", self.headers.get("Range") or "") or [0, 0])[1])
                body = hub.content[begins:]
                self.send_response(206 if begins else 200)
                if begins:
                    self.send_header("Content-Range", f"bytes {begins}-{len(hub.content) - 1}/{len(hub.content)}")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Last-Modified", MODIFIED)
                self.end_headers()
                self.wfile.write(body[: hub.cut.pop(0)] if hub.cut else body)
                self.close_connection = True
                return None

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has 3 MB under the name of MobileNetV3Small's weights, whose hash is that of these."""
    made = Hub(np.random.default_rng(0).bytes(3_000_000))
    serve(made, monkeypatch)
    monkeypatch.setenv("KCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KCNN_OFFLINE", raising=False)
    monkeypatch.setenv("KCNN_TIMEOUT", "5")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    yield made
    made.server.shutdown()


def serve(hub, monkeypatch):
    """Let the catalogue have the hash of what the hub serves."""
    known = {**list_backbones()}
    known[SMALL] = replace(known[SMALL], hash=hashlib.md5(hub.content).hexdigest())
    monkeypatch.setattr(catalogue, "list_backbones", lambda: known)
    monkeypatch.setenv("KCNN_WEIGHTS_URL", hub.url)


def test_a_download_is_cached_and_continues_where_it_broke(hub):
    small = find_backbone(SMALL)
    assert find_weights(small) is None
    hub.cut = [1_000_000]
    path = get_weights(small, Silent())
    assert path.read_bytes() == hub.content
    assert [asked for _, asked in hub.asked[-1:]] == ["bytes=1000000-"]
    assert hub.asked[0][0].endswith(f"/{small.file}")
    count = len(hub.asked)
    assert get_weights(small, Silent()) == find_weights(small) == path
    assert len(hub.asked) == count


def test_what_is_damaged_is_not_used(hub, monkeypatch):
    right, hub.content = hub.content, b"x" + hub.content[1:]
    with pytest.raises(KcnnError, match="is damaged: expected the hash"):
        get_weights(find_backbone(SMALL), Silent())
    hub.content = right
    assert find_weights(find_backbone(SMALL)) is None  # it is not kept
    assert get_weights(find_backbone(SMALL), Silent()).read_bytes() == right


def test_weights_that_cannot_be_had_end_in_a_clear_line(hub, monkeypatch, tmp_path):
    small, place = find_backbone(SMALL), hub.url.removeprefix("http://")
    hub.status = 404
    with pytest.raises(KcnnError, match=f"{SMALL} cannot be downloaded: {place} responded with 404") as caught:
        get_weights(small, Silent())
    assert "--set weights=PATH" in caught.value.hint
    asked = len(hub.asked)
    monkeypatch.setenv("KCNN_OFFLINE", "1")
    with pytest.raises(KcnnError, match="not on this disk, and nothing is downloaded offline") as caught:
        get_weights(small, Silent())
    assert small.file in caught.value.hint
    assert len(hub.asked) == asked
    monkeypatch.delenv("KCNN_OFFLINE")
    monkeypatch.setenv("KCNN_WEIGHTS_URL", "http://127.0.0.1:9")
    with pytest.raises(KcnnError, match=r"127\.0\.0\.1:9 cannot be reached"):
        get_weights(small, Silent())
    monkeypatch.setenv("KCNN_WEIGHTS_URL", "foo")
    with pytest.raises(KcnnError, match="KCNN_WEIGHTS_URL should be an address, got 'foo'"):
        get_weights(small, Silent())


def test_weights_attached_to_a_notebook_or_kept_by_keras_are_found(hub, monkeypatch, tmp_path):
    small = find_backbone(SMALL)
    monkeypatch.setenv("KCNN_OFFLINE", "1")
    monkeypatch.setattr(weights, "KAGGLE_INPUT", tmp_path / "input")
    for folder in (tmp_path / "input" / "my-weights" / "v1", tmp_path / "keras" / "models"):
        folder.mkdir(parents=True)
        (folder / small.file).write_bytes(hub.content)
        assert get_weights(small, Silent()) == folder / small.file
        shutil.rmtree(folder)
    assert not hub.asked


def test_backbones_are_listed_and_downloaded(hub, capsys):
    small = find_backbone(SMALL)
    listed = in_this_process("backbones")
    assert re.search(rf"{SMALL}\s+939,120\s+224\s+4\s+Apache-2.0\s*\n", listed)
    assert in_this_process("backbones", "--download", "mobilenetv3small").strip().endswith(small.file)
    assert re.search(rf"{SMALL}\s+939,120\s+224\s+4\s+Apache-2.0\s+yes", in_this_process("backbones"))


def test_the_catalogue_is_that_of_keras(keras):
    names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(list_backbones()) == names
    made = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert made.count_params() == find_backbone(SMALL).parameters
    assert all(each.url.startswith("https://") and each.url.endswith(".h5") for each in list_backbones().values())
    with pytest.raises(KcnnError, match="there is no backbone 'MobileNetV3Smal'") as caught:
        find_backbone("MobileNetV3Smal")
    assert SMALL in caught.value.hint


def test_a_backbone_has_the_weights_of_the_hub_and_its_own_preprocessing(hub, keras, tmp_path, monkeypatch):
    from kaggle_cnn.backbone import open_backbone

    keras.utils.set_random_seed(7)
    plain = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    plain.save(tmp_path / "made.h5")
    hub.content = (tmp_path / "made.h5").read_bytes()
    serve(hub, monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)

    def features(images):
        return np.asarray(plain(images.astype(np.float32))).mean(axis=(1, 2))

    def are_alike(one, other):  # without training, features are small
        return np.abs(np.asarray(one) - other).max() < 1e-2 * np.abs(other).max()

    body = open_backbone(SMALL, (32, 32, 3))
    assert are_alike(body(images), features(images))
    assert are_alike(
        open_backbone(SMALL, (32, 32, 1))(images[..., :1]), features(np.repeat(images[..., :1], 3, axis=3))
    )
    assert not any(layer.trainable for layer in body.layers if isinstance(layer, keras.layers.BatchNormalization))
    random = open_backbone(SMALL, (32, 32, 3), "none")
    assert all(layer.trainable for layer in random.layers)
    assert not are_alike(random(images), features(images))
    with pytest.raises(KcnnError, match=f"{SMALL} with weights=nowhere.h5 for \\(32, 32, 3\\)") as caught:
        open_backbone(SMALL, (32, 32, 3), "nowhere.h5")
    assert "--set weights=PATH" in caught.value.hint


def test_resnet_gets_what_it_was_trained_on(keras, tmp_path):
    """Blue, green, red, less ImageNet's means, as Caffe had it."""
    from kaggle_cnn.backbone import open_backbone

    body = open_backbone("ResNet50", (32, 32, 3), "none")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    seen = keras.Model(body.input, body.get_layer("conv1_pad").input)(images)
    assert np.allclose(seen, images[..., ::-1].astype(float) - [103.939, 116.779, 123.68], atol=1e-4)


@pytest.fixture
def with_pretrained(tiny_workspace, monkeypatch):
    shutil.copy(REPOSITORY / "recipes" / "pretrained.py", tiny_workspace.root / "recipes")
    monkeypatch.chdir(tiny_workspace.root)


LAYER = """
import keras


@keras.saving.register_keras_serializable("own")
class Halve(keras.layers.Layer):
    def call(self, x):
        return x / 2

"""


@pytest.mark.usefixtures("with_pretrained", "eager")
def test_a_run_is_a_backbone_also_where_it_is_not_there_any_more(train_tiny, tiny_workspace, keras, kcnn):
    """It gives what its own last layer gets; layers that its recipe defines are kept with the run that uses it."""
    from kaggle_cnn.backbone import open_backbone
    from kaggle_cnn.learn import backbone
    from kaggle_cnn.learn.network import last_features

    path = tiny_workspace.root / "recipes" / "tiny.py"
    text = (
        path.read_text().replace("def tiny(", f"{LAYER}\ndef tiny(", 1).replace("layers.Dropout(0.2)(x)", "Halve()(x)")
    )
    path.write_text(text)
    first = train_tiny(epochs=1)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    trained = keras.models.load_model(first.fold_folder(0) / "model.keras", compile=False)
    for name in ("run:tiny-001", "run:colours/tiny-001", str(first.folder)):
        assert np.allclose(open_backbone(name, (16, 16, 3))(images), last_features(trained)(images), atol=1e-6)
    assert open_backbone("run:tiny-001", (24, 24, 1)).output_shape == (None, 4)
    with pytest.raises(KcnnError, match="there is no run 'nothing'"):
        open_backbone("run:nothing", (16, 16, 3))

    settings = {"backbone": "run:tiny-001", "size": 16, "margin": 4, "epochs": 2, "batch": 8, "frozen": 0.5}
    tuned = train_tiny(recipe="pretrained.py", **settings)
    assert backbone.PLACE.get().competition == "colours"  # that of the training
    tiny_workspace.make_current("another")
    assert backbone.find_run("run:tiny-001").id == "tiny-001"
    tiny_workspace.make_current("colours")
    before = trained.get_layer("conv2d").get_weights()[0]
    [after] = [np.array(each) for each in keras.models.load_model(tuned.fold_folder(0) / "model.keras").variables
               if each.path.endswith("conv2d/kernel")]  # fmt: skip
    assert 0 < np.abs(after - before).max() < 0.1  # it began there, and learned
    shutil.rmtree(first.folder)
    assert "log loss" in kcnn("evaluate", "pretrained-001", "--tta", "five-crop", cwd=tiny_workspace.root).stdout


def test_a_preset_of_keras_hub_in_a_folder(keras, tmp_path, monkeypatch):
    """With pip install 'kcnn[pretrained]', and without a network; a folder beside it without an image converter."""
    keras_hub = pytest.importorskip("keras_hub")
    from kaggle_cnn.backbone import open_backbone

    monkeypatch.setenv("KCNN_OFFLINE", "1")
    sizes = {"patch_size": 14, "num_layers": 1, "hidden_dim": 8, "num_heads": 2, "intermediate_dim": 8}
    made = keras_hub.models.DINOV2Backbone(**sizes, num_register_tokens=0, image_shape=(28, 28, 3))
    made.save_to_preset(tmp_path / "tiny")
    shutil.copytree(tmp_path / "tiny", tmp_path / "bare")
    keras_hub.layers.DINOV2ImageConverter(scale=1 / 50, offset=-2.0).save_to_preset(tmp_path / "tiny")
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), dtype=np.uint8)
    tokens = np.asarray(made({"images": images / 50 - 2}))
    expected = np.concatenate([tokens[:, 0], tokens[:, 1:].mean(axis=1)], axis=1)
    assert np.allclose(open_backbone(str(tmp_path / "tiny"), (28, 28, 3))(images), expected, atol=1e-4)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    shutil.copytree(tmp_path / "tiny", tmp_path / "hub" / "models" / "keras" / "dino" / "keras" / "dino_tiny" / "1")
    assert np.allclose(open_backbone("dino_tiny", (28, 28, 3))(images), expected, atol=1e-4)
    standard = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    tokens = np.asarray(made({"images": standard}))
    assert np.allclose(open_backbone(str(tmp_path / "bare"), (28, 28, 3))(images)[:, :8], tokens[:, 0], atol=1e-4)
    with pytest.raises(KcnnError, match="dinov2_small is not on this disk, and nothing is downloaded offline"):
        open_backbone("dinov2_small", (28, 28, 3))


@pytest.mark.usefixtures("with_pretrained", "eager")
def test_a_run_of_the_same_competition_has_not_seen_what_is_validated(train_tiny, tiny_workspace):
    """Each fold begins with the model of the same fold, and there is none for the others."""
    from kaggle_cnn import training

    settings = {"backbone": "run:tiny-001", "size": 16, "margin": 4, "epochs": 1, "batch": 8}
    train_tiny(epochs=1, folds=(0, 2))
    with pytest.raises(KcnnError, match="tiny-001 was trained on images that fold 1 validates"):
        train_tiny(recipe="pretrained.py", folds=(1,), **settings)
    tuned = train_tiny(recipe="pretrained.py", folds=(0, 2), frozen=1.0, **settings)

    def kernel(run, fold):
        import keras

        model = keras.models.load_model(tiny_workspace.runs("colours") / run / f"fold-{fold}" / "model.keras")
        return next(np.array(each) for each in model.variables if each.path.endswith("conv2d/kernel"))

    for fold in (0, 2):
        assert (kernel(tuned.id, fold) == kernel("tiny-001", fold)).all()  # frozen: that of its own fold
    assert not (kernel("tiny-001", 0) == kernel("tiny-001", 2)).all()
    probed = training.probe("run:tiny-001", {"size": 16, "margin": 4}, None, None, tiny_workspace, Silent())
    assert probed.folds == [0, 2]
    for fold in (0, 2):
        assert (kernel(probed.id, fold) == kernel("tiny-001", fold)).all()
    other = tiny_workspace.runs("colours") / "folds.csv"
    text = other.read_text().splitlines()
    other.write_text("\n".join([text[0], *(f"{line[:-1]}{(int(line[-1]) + 1) % 5}" for line in text[1:])]) + "\n")
    with pytest.raises(KcnnError, match="tiny-001 was trained on other folds"):
        training.probe("run:tiny-001", {"size": 16, "margin": 4}, None, None, tiny_workspace, Silent())
