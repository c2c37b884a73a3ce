"""The help of the command line: noun phrases, with units and defaults."""

from collections.abc import Iterator

import pytest
import typer

from runners.cli.main import app

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
