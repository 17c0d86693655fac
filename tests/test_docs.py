"""docs/commands.md names every command and option that there is, and none that there is not."""

import re

import typer
from conftest import REPOSITORY

from kaggle_cnn.cli import app


def documented() -> dict[str, str]:
    text = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
    parts = re.split(r"^## `kcnn (\w+)", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_commands_and_options():
    command = typer.main.get_command(app)
    sections = documented()
    assert list(sections) == list(command.commands)
    for name, part in command.commands.items():
        parts = getattr(part, "commands", {"": part}).values()
        parameters = [parameter for each in parts for parameter in each.params]
        options = {option for parameter in parameters for option in parameter.opts if option.startswith("-")}
        assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", sections[name])) == options - {"--help"}, name
        for each in parts:
            assert (each.help or "").split("\n")[0] in " ".join(sections[name].split()), (name, each.name)


def test_readme_names_commands_and_files_that_exist():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    commands = set(typer.main.get_command(app).commands)
    assert set(re.findall(r"^\s*kcnn (\w+)", text, flags=re.MULTILINE)) <= commands
    for target in re.findall(r"\]\(((?!http)[^)#]+)", text):
        assert (REPOSITORY / target).exists(), target
    for recipe in set(re.findall(r"recipes/\w+\.py", text)):
        assert (REPOSITORY / recipe).exists(), recipe
