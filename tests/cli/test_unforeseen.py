"""An exception that nobody foresaw ends in one line, one hint and a report without secrets."""

import json
import re
from pathlib import Path

import pytest

from kaggle_cnn import api
from kaggle_cnn.cli import main

TOKEN, KEY, OTHER = "token-4f6f1b", "key-99c1d0aa", "refresh-7cd1"


@pytest.fixture
def fails(monkeypatch, tmp_path, capsys):
    """Runs `kcnn evaluate` with an exception whose text has every secret; returns the printed lines."""
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": "me", "key": KEY}))
    (tmp_path / ".kaggle" / "credentials.json").write_text(json.dumps({"refresh_token": OTHER, "scopes": ["a"]}))
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / ".kaggle"))
    monkeypatch.setattr("sys.argv", ["kcnn", "evaluate", "my run"])
    monkeypatch.chdir(tmp_path)

    def raise_it(*_, **__):
        raise ZeroDivisionError(f"sent\n{TOKEN} and {KEY} and {OTHER} and bWU6a2V5LTk5YzFkMGFh")

    monkeypatch.setattr(api, "evaluate", raise_it)

    def run():
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 1
        return capsys.readouterr().err.strip().split("\n")

    return run


def test_one_line_one_hint_and_a_report(fails, tmp_path):
    error, hint = fails()
    assert error == "error: kcnn has a defect: ZeroDivisionError: sent *** and *** and *** and ***"
    path = Path(re.search(r"the report (\S+) says where", hint)[1])
    assert path.parent == tmp_path / ".kcnn" / "reports"
    text = path.read_text()
    assert "command: kcnn evaluate 'my run'" in text
    assert "in raise_it" in text
    assert re.search(r"kcnn [\d.]+, keras 3", text)
    assert not any(secret in text for secret in (TOKEN, KEY, OTHER, "bWU6a2V5LTk5YzFkMGFh"))


def test_where_the_workspace_cannot_be_written(fails, tmp_path, monkeypatch):
    (tmp_path / ".kcnn").write_text("a file, not a folder")
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    _, hint = fails()
    assert str(elsewhere) in hint
    assert len(list(elsewhere.glob("report-*.txt"))) == 1
