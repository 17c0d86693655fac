"""The report, opened in a browser as its reader would."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, TINY, make_images_in, save_noise, untracked

from kaggle_cnn.insight.report import report
from kaggle_cnn.learn.predictions import Predictions
from kaggle_cnn.learn.run import Run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# As root it has no sandbox; the rest keeps it from calling its maker.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>.png"


def made_up(folder, classes: list[str], files: list[str]) -> tuple[Run, Predictions]:
    """A run of images that are there, with probabilities that are drawn."""
    draw = np.random.default_rng(0)
    (folder / "fold-0").mkdir(parents=True)
    (folder / "recipe.py").write_text(TINY)
    history = {name: [0.5, 0.7] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    pd.DataFrame({"epoch": [1, 2], **history}).to_csv(folder / "fold-0" / "history.csv", index=False)
    record = {
        "recipe": "tiny", "competition": "made up", "created": "2026-11-21T10:00:00", "commit": None,
        "knobs": {"epochs": 2, "width": 6},
        "folds": [0], "classes": classes, "parameters": 1234, "backend": "jax", "device": "CPU", "precision": "float32",
        "versions": {"kcnn": "0"}, "seconds": 1.0, "status": "finished",
    }  # fmt: skip
    labels = np.arange(len(files)) % len(classes)
    views = {}
    for count in (1, 10):
        values = draw.random((len(files), len(classes))) + 0.5 * np.eye(len(classes))[labels]
        views[count] = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
    return Run(folder, record), Predictions(np.array(files), labels.astype(np.int32), views)


def test_a_thousand_images_stay_below_5_mb(tmp_path):
    """Noise is what compresses worst."""
    draw = np.random.default_rng(0)
    files = [f"{number}.jpg" for number in range(1000)]
    for name in files[:200]:
        save_noise(tmp_path / name, (128, 128, 128), draw)
    for number, name in enumerate(files[200:]):
        shutil.copyfile(tmp_path / files[number % 200], tmp_path / name)
    run, predictions = made_up(tmp_path / "run", [f"class {n}" for n in range(20)], files)
    kernel = ("conv2d", draw.random((3, 3, 3, 64)).astype(np.float32))
    html = report(run, tmp_path, predictions, kernel, untracked)
    assert len(html.encode()) < 5_000_000
    long = [f"{'長' * 60} {n}" for n in range(400)]
    run, predictions = made_up(tmp_path / "another run", long, files)
    assert len(report(run, tmp_path, predictions, None, untracked).encode()) < 5_000_000
    assert "kcnn train recipes/tiny.py -c &#39;made up&#39; --backend jax --set width=6" in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; make test installs Debian's where it may")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(tmp_path, scheme):
    from playwright.sync_api import sync_playwright

    folder = make_images_in(tmp_path / "colours", per_class=4)
    (folder / EVIL).write_bytes((folder / "train" / "colours-3" / "blue" / "pic_0000.jpg").read_bytes())
    files = [EVIL, *sorted(path.relative_to(folder).as_posix() for path in folder.glob("train/*/*/*.jpg"))]
    classes = ["red <b>one</b>", "</script><script>alert(2)</script>", "grün"]
    run, predictions = made_up(tmp_path / "run", classes, files)
    path = tmp_path / "report.html"
    path.write_text(report(run, folder, predictions, None, untracked), encoding="utf-8")

    given = predictions.best()[1].argmax(axis=1)
    cell = (int(predictions.labels[0]), int(given[0]))
    wanted = [files[row] for row in np.flatnonzero((predictions.labels == cell[0]) & (given == cell[1]))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        told, asked = [], []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.click(f"#confusion button[data-true='{cell[0]}'][data-predicted='{cell[1]}']")
        page.wait_for_selector("#images figure")
        assert sorted(page.locator("#images figcaption .quiet").all_inner_texts()) == sorted(wanted)
        assert all(page.locator("#images img").evaluate_all("all => all.map(each => each.naturalWidth > 10)"))
        assert classes[cell[0]] in page.inner_text("#chosen")
        page.click("#classes th >> nth=3")
        f1 = [float(text) for text in page.locator("#classes tbody td:nth-child(4)").all_inner_texts()]
        assert f1 == sorted(f1, reverse=True)
        page.click("#classes th >> nth=3")
        assert page.locator("#classes tbody td:nth-child(4)").all_inner_texts() == [f"{each:.3f}" for each in f1[::-1]]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")
        assert page.locator("img:not([src^='data:'])").count() == 0
        picture = REPOSITORY / "build" / f"report-{scheme}.png"  # kept, to be looked at
        page.screenshot(path=picture, full_page=True)
        page.pdf(path=tmp_path / "report.pdf")
        browser.close()
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert picture.stat().st_size > 20_000
    assert json.loads((tmp_path / "report.html").read_text().partition('id="data">')[2].partition("</script>")[0])


def test_command_line(train_tiny, tiny_workspace, monkeypatch):
    from conftest import in_this_process

    run = train_tiny(epochs=1, width=6)
    monkeypatch.chdir(tiny_workspace.root)
    assert in_this_process("report").strip() == str(run.folder / "report.html")
    html = (run.folder / "report.html").read_text()
    assert "kcnn train recipes/tiny.py -c colours --set width=6 --set epochs=1" in html
    assert "First filters" in html
