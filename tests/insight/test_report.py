"""The report, opened in a browser as its reader would."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, TINY, make_images_in, save_noise

from kaggle_cnn.competition.competition import Competition
from kaggle_cnn.insight.report import report
from kaggle_cnn.progress import Silent
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import Run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# As root it has no sandbox; the rest keeps it from calling its maker.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>.png"


def make_up(folder, classes: list[str], files: list[str]) -> tuple[Run, Competition, Predictions]:
    """A run of images that are there, with predictions that are drawn."""
    draw = np.random.default_rng(0)
    run_folder = folder / "runs" / "made up-001"
    (run_folder / "fold-0").mkdir(parents=True)
    (run_folder / "recipe.py").write_text(TINY)
    history = {name: [0.5, 0.7] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    pd.DataFrame({"epoch": [1, 2], **history}).to_csv(run_folder / "fold-0" / "history.csv", index=False)
    record = {
        "format": 2, "kind": "training", "recipe": "tiny", "competition": "made up", "created": "2026-11-21T10:00:00",
        "commit": None, "set": {"width": 6}, "settings": {"epochs": 2, "width": 6, "size": 16, "margin": 4},
        "tta": "flip", "task": {"kind": "multiclass", "classes": classes, "metric": "accuracy"},
        "folds": {"file": "folds.csv", "digest": "", "numbers": [0]}, "parameters": 1234, "backend": "jax",
        "device": "CPU", "precision": "float32", "versions": {"kcnn": "0"},
    }  # fmt: skip
    targets = np.arange(len(files)) % len(classes)
    logits = draw.normal(size=(len(files), 2, len(classes))) + 0.7 * np.eye(len(classes))[targets][:, None]
    views = ("centre", "centre-mirrored")
    oof = Predictions(np.array(files), logits.astype(np.float32), views, 16, np.zeros(len(files), int), targets)
    competition = Competition(folder, "made up", "local", "", "folders", tuple(classes))
    return Run(run_folder, record), competition, oof


def test_a_thousand_images_stay_below_5_mb(tmp_path):
    """Noise is what compresses worst."""
    draw = np.random.default_rng(0)
    files = [f"{number}.jpg" for number in range(1000)]
    for name in files[:200]:
        save_noise(tmp_path / name, (128, 128, 128), draw)
    for number, name in enumerate(files[200:]):
        shutil.copyfile(tmp_path / files[number % 200], tmp_path / name)
    run, competition, predictions = make_up(tmp_path, [f"class {n}" for n in range(20)], files)
    kernel = ("conv2d", draw.random((3, 3, 3, 64)).astype(np.float32))
    html = report(run, competition, predictions, kernel, Silent())
    assert len(html.encode()) < 5_000_000
    long = [f"{'長' * 60} {n}" for n in range(400)]
    shutil.rmtree(tmp_path / "runs")
    run, competition, predictions = make_up(tmp_path, long, files)
    assert len(report(run, competition, predictions, None, Silent()).encode()) < 5_000_000
    assert "kcnn train recipes/tiny.py -c &#39;made up&#39; --backend jax --set width=6" in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; make test installs Debian's where it may")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(tmp_path, scheme):
    from playwright.sync_api import sync_playwright

    folder = make_images_in(tmp_path / "colours", per_class=4)
    (folder / EVIL).write_bytes((folder / "train" / "colours-3" / "blue" / "pic_0000.jpg").read_bytes())
    files = [EVIL, *sorted(path.relative_to(folder).as_posix() for path in folder.glob("train/*/*/*.jpg"))]
    classes = ["red <b>one</b>", "</script><script>alert(2)</script>", "grün"]
    run, competition, predictions = make_up(folder, classes, files)
    path = tmp_path / "report.html"
    path.write_text(report(run, competition, predictions, None, Silent()), encoding="utf-8")

    given = predictions.logits.mean(axis=1).argmax(axis=1)
    cell = (int(predictions.true[0]), int(given[0]))
    wanted = [files[row] for row in np.flatnonzero((predictions.true == cell[0]) & (given == cell[1]))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        shown, asked = [], []
        page.on("console", lambda message: shown.append(message.text))
        page.on("pageerror", lambda error: shown.append(str(error)))
        page.on("dialog", lambda dialog: (shown.append(dialog.message), dialog.dismiss()))
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
    assert shown == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert picture.stat().st_size > 20_000
    assert json.loads((tmp_path / "report.html").read_text().partition('id="data">')[2].partition("</script>")[0])


@pytest.mark.usefixtures("eager")
def test_command_line(train_tiny, tiny_workspace, monkeypatch):
    from conftest import in_this_process

    run = train_tiny(epochs=1, width=6)
    monkeypatch.chdir(tiny_workspace.root)
    assert in_this_process("report").strip() == str(run.folder / "report.html")
    html = (run.folder / "report.html").read_text()
    assert "kcnn train recipes/tiny.py -c colours --set epochs=1 --set width=6" in html
    assert "--set degrees" not in html  # what nobody set
    assert "accuracy, tta ten-crop" in html
    assert "First filters" in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; make test installs Debian's where it may")
def test_the_matrix_of_many_classes_is_clustered_and_its_headers_stay(tmp_path):
    from playwright.sync_api import sync_playwright

    for number in range(160):
        save_noise(tmp_path / f"{number}.jpg", (128, 128, 128), np.random.default_rng(number))
    files = [f"{number}.jpg" for number in range(160)]
    run, competition, made = make_up(tmp_path, [f"class {n}" for n in range(40)], files)
    logits = np.repeat(9 * np.eye(40, dtype=np.float32)[made.true][:, None], 2, axis=1)
    pair = (3, 30)  # confused with each other alone, and far apart in the order of the classes
    for row in np.flatnonzero(np.isin(made.true, pair))[::2]:
        logits[row, :, list(pair)] = logits[row, :, list(pair[::-1])]
    path = tmp_path / "report.html"
    path.write_text(report(run, competition, replace(made, logits=logits), None, Silent()), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 700, "height": 500})
        page.goto(path.as_uri())
        names = page.locator("#confusion tbody th").all_inner_texts()
        assert sorted(names) == sorted(competition.classes)
        assert abs(names.index("class 3") - names.index("class 30")) == 1
        place = "document.querySelector('.matrix')"
        tops = [
            f"document.querySelector('#confusion {cell}').getBoundingClientRect()" for cell in ("thead th", "tbody th")
        ]
        page.evaluate(f"{place}.scrollIntoView(); {place}.scrollTo(200, 200)")
        assert page.evaluate(f"{place}.scrollTop") > 50
        assert page.evaluate(f"{tops[0]}.top - {place}.getBoundingClientRect().top") == pytest.approx(0, abs=2)
        assert page.evaluate(f"{tops[1]}.left - {place}.getBoundingClientRect().left") == pytest.approx(0, abs=2)
        browser.close()
