"""Rates that the user gives: in options, or in a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from yolact_bench.errors import Faults, SpecError, hint
from yolact_bench.option_values import check_value, read_number
from yolact_bench.ranges import Positive
from yolact_bench.spec.presets import PRESETS
from yolact_bench.work_names import quote
from yolact_bench.yaml_source import Source, read

_FLAG = "--images-per-second"
_SINGLE = ("every", "evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRates:
    """Images per second on one device, from the user; None where there is none."""

    every: float | None = None  # of every training without a preset's rate
    by_preset: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    evaluation: float | None = None  # network and detection, whatever the arm

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            SpecError: an invalid rate, or a preset that does not exist.
        """
        faults = Faults()
        rates: dict[str, float | None] = {
            _FLAG: self.every,
            "--evaluation-images-per-second": self.evaluation,
        }
        for name, rate in self.by_preset.items():
            if name in PRESETS:
                rates[f"{_FLAG} {name}="] = rate
            else:
                near = hint(name, PRESETS)
                faults.add(SpecError(f"{_FLAG} {quote(name)}: no such preset{near}"))
        for where, value in rates.items():
            with faults.part():
                check_value(Positive | None, value, where=f"{where}: ")
        faults.raise_any()


def parse_rates(
    words: Sequence[str], *, evaluation: float | None = None, file: Path | None = None
) -> UserRates:
    """Return the rates of a command line; its words take precedence over those of the file.

    Raises:
        SpecError: neither a number nor PRESET=NUMBER, or a mistake in the file.
    """
    base = UserRates() if file is None else _read_rates(file)
    every, by_preset, faults = base.every, dict(base.by_preset), Faults()
    for word in words:
        name, equals, number = word.rpartition("=")
        with faults.part():
            rate = read_number(Positive, number, where=f"{_FLAG} {word}: ")
            if equals:
                by_preset[name] = rate
            else:
                every = rate
    faults.raise_any()
    return UserRates(
        every=every,
        by_preset=by_preset,
        evaluation=evaluation if evaluation is not None else base.evaluation,
    )


def _read_rates(file: Path) -> UserRates:
    """Return the rates of a YAML file: `every`, `presets` (name → rate) and `evaluation`."""
    source = read(file)
    faults, presets = Faults(), source.data.get("presets", {})
    with faults.part():
        source.check_keys((), source.data, (*_SINGLE, "presets"))
    if not isinstance(presets, Mapping):
        faults.add(source.unlike(("presets",), "preset: rate", presets))
        presets = {}
    presets = {str(name): rate for name, rate in presets.items()}
    by_preset = faults.read_each(
        {name: partial(_number, source, ("presets", name), presets) for name in presets}
    )
    written = [key for key in _SINGLE if key in source.data]
    single = faults.read_each(
        {key: partial(_number, source, (key,), source.data) for key in written}
    )
    rates = UserRates()
    try:
        rates = UserRates(by_preset=by_preset, **single)
    except SpecError as error:
        faults.add(error.at(file))
    faults.raise_any()
    return rates


def _number(source: Source, path: tuple[str, ...], values: Mapping[str, object]) -> float:
    rate: float = source.value(path, Positive, values[path[-1]])
    return rate
