"""The help of the command line: noun phrases, with units and defaults."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from runners.cli import command as module
from runners.cli.command import PlaceOptions
from runners.cli.main import app
from tests.support.small_ablation import write_spec

ROOT = typer.main.get_command(app)


def commands(command: object, name: str) -> Iterator[tuple[str, object]]:
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {child}")


COMMANDS = dict(commands(ROOT, "yolact-bench"))
PARAMETERS = {
    f"{name} {parameter.opts[0]}": parameter
    for name, command in COMMANDS.items()
    for parameter in command.params  # type: ignore[attr-defined]
    if parameter.name != "help"
}
ACTIONS = (
    *("run {spec}", "plan {spec}", "check {spec}", "sweep {spec}"),
    *("train a", "evaluate a", "latency a b", "profile a"),
    *("predict image.png --weights final.pt", "import-weights a.pth"),
)
# A help text that begins with one of these says what to do, not what the value is.
VERBS = ("change", "check", "do", "give", "print", "remove", "run", "show", "stop", "try", "write")
# Options whose value None means that there is none.
WITHOUT = {"--weights", "--dataset", "--data-root", "--address", "--rates", "--curve"}


def test_every_command_is_walked() -> None:
    assert {"yolact-bench run", "yolact-bench data check"} < COMMANDS.keys()
    assert "yolact-bench run --only" in PARAMETERS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_sentence(name: str) -> None:
    text = COMMANDS[name].help  # type: ignore[attr-defined]
    assert text
    assert text[0].isupper()
    assert text.endswith((".", "?"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_argument_or_option_has_a_noun_phrase(name: str) -> None:
    text = PARAMETERS[name].help
    assert text, "no help"
    assert text[0].isupper()
    assert text.endswith(".")
    assert text.split()[0].lower() not in VERBS


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_option_that_may_be_left_out_shows_what_happens_then(name: str) -> None:
    """click shows a default that is a value; for None the text has to say it."""
    parameter = PARAMETERS[name]
    optional = parameter.default is None and not parameter.required
    if optional and not parameter.multiple and parameter.param_type_name == "option":
        assert "Default: " in parameter.help or name.rsplit(maxsplit=1)[-1] in WITHOUT


@pytest.mark.parametrize("words", ACTIONS, ids=lambda words: words.split()[0])
def test_a_command_calls_an_action_that_takes_its_options(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Actions are named by strings, which no type checker follows."""
    calls: list[tuple[object, object]] = []

    class Actions:
        def __init__(self, name: str) -> None:
            self.module = import_module(name)

        def __getattr__(self, name: str) -> object:
            action = getattr(self.module, name)
            return lambda options: calls.append((get_type_hints(action)["command"], type(options)))

    monkeypatch.setattr(module, "import_module", Actions)
    spec = write_spec(tmp_path)
    done = CliRunner().invoke(app, words.format(spec=spec).split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    ((expected, actual),) = calls
    assert expected is actual


@pytest.mark.parametrize(
    "words",
    [
        *("run {spec} --slots 0", "run {spec} --devices 0", "plan {spec} --slots 0"),
        *("sweep {spec} --trials 0", "sweep {spec} --confirm 0", "evaluate a --devices 0"),
        *("run {spec} --rounds 0", "latency a --rounds -1", "plan {spec} --seeds 0"),
        *("run {spec} --seeds -1", "run {spec} --seeds 1000000000", "train a --workers -3"),
        *("train a --validate-every -1", "run {spec} --max-store nan", "run {spec} --max-store -1"),
        *("plan {spec} --price-per-hour nan", "predict a --weights b --min-score nan"),
        *("predict a --weights b --min-score 1.5", "--threads 0 list presets"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_is_loaded(
    words: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, words.format(spec=write_spec(tmp_path)).split())
    assert done.exit_code == 2
    option = next(word for word in reversed(words.split()) if word.startswith("--"))
    assert f"Invalid value for '{option}'" in done.output


def test_a_field_without_a_help_text_is_no_option() -> None:
    assert "yolact-bench profile --work-dir" in PARAMETERS
    assert "yolact-bench profile --data-root" not in PARAMETERS
    assert "yolact-bench profile --workers" not in PARAMETERS
    assert PlaceOptions().workers is None
