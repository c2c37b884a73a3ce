"""Every number of the command line has a range and is written in decimal digits."""

import inspect
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

from runners.cli.main import app
from runners.planning.user_rates import parse_rates
from yolact_bench.errors import SpecError
from yolact_bench.option_values import read_number
from yolact_bench.ranges import Count, Fraction

NO_NUMBERS = (
    *("nan", "inf", "-inf", "1e400", "", " ", "1_0", "0x10", "٣", "1,5", "1.5.1", "true", "None"),
    *("9" * 5000, "1e", "--1", "+", "."),
)


def functions_of(group: typer.Typer, name: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield command and function of a group and of all below it, and of its own options."""
    if group.registered_callback is not None:
        yield name, group.registered_callback.callback  # type: ignore[misc]
    for command in group.registered_commands:
        yield f"{name} {command.name}", command.callback  # type: ignore[misc]
    for below in group.registered_groups:
        yield from functions_of(below.typer_instance, name)  # type: ignore[arg-type]


def numbers() -> Iterator[tuple[str, Any]]:
    """Yield command and option, and what typer knows of it, of every option that is a number."""
    for command, function in functions_of(app, ""):
        for name, parameter in inspect.signature(function).parameters.items():
            if get_origin(parameter.annotation) is Annotated:
                kind, declaration = get_args(parameter.annotation)
                kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
                if {int, float} & set(kinds):
                    yield f"{command} --{name}".strip(), declaration


OPTIONS = dict(numbers())


def test_the_numbers_of_all_commands_are_walked() -> None:
    wanted = {
        *("--threads", "run --rounds", "sweep --trials", "evaluate --eval_batch"),
        *("latency --rel_ci", "predict --min_score", "plan --price_per_hour", "split --val"),
    }
    assert wanted < OPTIONS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_number_is_in_its_range_and_in_decimal_digits(name: str) -> None:
    option = OPTIONS[name]
    assert option.parser is not None, "declare it by `options.number`"
    low, high = option.min, option.max
    assert [option.parser(str(low)), option.parser(str(high))] == [low, high]
    for text in (*NO_NUMBERS, str(low - 1), str(high + 1), str(10**30), str(-(10**30))):
        with pytest.raises(typer.BadParameter, match=r"^expected a .*number from .* to .*, got "):
            option.parser(text)


def test_decimal_digits_have_these_forms() -> None:
    assert [read_number(Fraction, text) for text in ("0.5", ".5", "5e-1", "+0.5")] == [0.5] * 4
    assert read_number(Fraction, "1") == 1.0
    assert read_number(Count, "+7") == 7
    for text in ("7.0", "7e0"):
        with pytest.raises(SpecError, match=r"^--x: expected a whole number from 1 .*, got 7\.0"):
            read_number(Count, text, where="--x: ")


def test_the_message_names_option_and_range() -> None:
    done = CliRunner().invoke(app, ["--threads", "1_0", "list", "presets"])
    assert done.exit_code == 2
    text = " ".join(done.output.split())
    assert (
        "Invalid value for '--threads': expected a whole number from 1 to 1,024, got '1_0'" in text
    )


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_a_rate_of_a_preset_is_a_number_too(text: str) -> None:
    for word in (text, f"yolact_r50={text}"):
        with pytest.raises(SpecError, match=r"^--images-per-second .*: expected a number from"):
            parse_rates([word])
