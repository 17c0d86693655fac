"""What kcnn reads wrongly is corrected by options of fetch, without a download; classes and doubts are shown."""

import pytest
from conftest import save_greys


@pytest.fixture
def farms(tmp_path):
    """Two readings are near: farm/crop or crop/farm."""
    names = [
        f"{farm}/{crop}/{farm}_{crop}_{n}.png"
        for farm in ("north", "south")
        for crop in ("oats", "rye")
        for n in range(6)
    ]
    return save_greys(tmp_path / "fields", *names, "later/1.png", "later/2.png")


def test_two_readings_are_said_and_the_other_is_chosen(kcnn, work, farms):
    done = kcnn("fetch", str(farms), cwd=work)
    assert "classes: later (2), north (12), south (12)" in done.stdout
    assert "every one holds 'oats', 'rye'; if these are the classes: --train '*'" in done.stderr
    again = kcnn("fetch", str(farms), "--train", "*", "--test", "later", cwd=work)
    assert "classes: oats (12), rye (12)" in again.stdout
    assert "2 test images" in again.stdout
    assert "nothing was downloaded" in again.stderr
    looked = kcnn("look", cwd=work).stdout
    assert "rye" in looked
    assert "north" not in looked


def test_a_column_is_chosen(kcnn, work, tmp_path):
    folder = save_greys(tmp_path / "moles", *(f"a/{n}.png" for n in range(12)))
    rows = "".join(f"{n},{'ab'[n % 2]},{'xyz'[n % 3]}\n" for n in range(12))
    (folder / "notes.csv").write_text(f"picture,finding,shape\n{rows}")
    done = kcnn("fetch", str(folder), cwd=work)
    assert "the labels are taken from the column 'finding' of notes.csv; it may also be 'shape'" in done.stderr
    chosen = kcnn("fetch", str(folder), "--labels", "notes.csv", "--label-column", "shape", cwd=work)
    assert "classes: x (4), y (4), z (4)" in chosen.stdout


def test_one_folder_under_two_names(kcnn, refused, work, farms):
    kcnn("fetch", str(farms), cwd=work)
    kcnn("fetch", str(farms), "--name", "crops", "--train", "*", cwd=work)
    assert "north" in kcnn("look", "-c", "fields", cwd=work).stdout
    assert "oats" in kcnn("look", "-c", "crops", cwd=work).stdout
    other = save_greys(farms.parent / "b" / "fields", "a/1.png", "b/2.png")
    assert "there is already a competition 'crops'" in refused("fetch", str(other), "--name", "crops", cwd=work)
    assert "fields-2: 2 training images" in kcnn("fetch", str(other), cwd=work).stdout  # as a second archive.zip
    assert "fields-2 is here already" in kcnn("fetch", str(other), cwd=work).stderr


def test_a_competition_with_runs_is_not_read_in_another_way(kcnn, refused, work, farms):
    kcnn("fetch", str(farms), cwd=work)
    run = work / "runs" / "fields" / "tiny-001"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    assert "has runs" in refused("fetch", str(farms), "--train", "*", cwd=work)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--train", "nowhere"), "--train should be a folder with images below the data, got 'nowhere'"),
        (("--test", "nowhere"), "--test should be a folder with images"),
        (("--labels", "no.csv"), "--labels should be a CSV below the data, got 'no.csv'"),
        (("--label-column", "colour"), "no CSV has the column 'colour'"),
        (("--name", "a/b"), "--name should be letters"),
    ],
)
def test_what_is_not_there(refused, work, farms, option, message):
    assert message in refused("fetch", str(farms), *option, cwd=work)
    assert not (work / "data" / "fields").exists()


def test_names_that_look_like_something_else_are_noted(kcnn, work, tmp_path):
    folder = save_greys(tmp_path / "x", *(f"{kind}/{kind}{n}.png" for kind in ("images", "masks") for n in range(6)))
    done = kcnn("fetch", str(folder), cwd=work)
    assert "the classes look like folders of something else: 'images', 'masks'" in done.stderr
    assert "the classes look like folders of something else" in kcnn("look", cwd=work).stdout
