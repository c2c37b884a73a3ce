"""Rates that a user gives in place of measured ones: by hand, or from a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.source import Source, read

_FLAG = "--images-per-second"
_SINGLE = ("every", "evaluation")
_KEYS = dict.fromkeys((*_SINGLE, "presets"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRates:
    """Images per second on one device, as given; None where nothing was."""

    every: float | None = None  # of every training that no preset's rate tells of
    of_preset: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    evaluation: float | None = None  # network and detection, whatever the arm

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            SpecError: one that is no rate, or a preset that does not exist.
        """
        _check(_FLAG, self.every)
        _check("--evaluation-images-per-second", self.evaluation)
        for name, rate in self.of_preset.items():
            if name not in PRESETS:
                raise SpecError(f"{_FLAG} {name}: no such preset{hint(name, PRESETS)}")
            _check(f"{_FLAG} {name}=", rate)


def given_rates(
    words: Sequence[str], *, evaluation: float | None = None, file: Path | None = None
) -> GivenRates:
    """Return the rates that a command line gives; its words go before those of the file.

    Raises:
        SpecError: what is neither a number nor PRESET=NUMBER, or a mistake in the file.
    """
    written = GivenRates() if file is None else read_rates(file)
    every, of_preset = written.every, dict(written.of_preset)
    for word in words:
        name, equals, number = word.rpartition("=")
        try:
            rate = float(number)
        except ValueError as error:
            raise SpecError(
                f"{_FLAG} {word}: expected a number for every training, or PRESET=NUMBER, "
                "such as yolact_r101=45"
            ) from error
        if equals:
            of_preset[name] = rate
        else:
            every = rate
    return GivenRates(
        every=every,
        of_preset=of_preset,
        evaluation=evaluation if evaluation is not None else written.evaluation,
    )


def read_rates(file: Path) -> GivenRates:
    """Return the rates of a YAML file: `every`, `presets` (name → rate) and `evaluation`.

    Raises:
        SpecError: with file, line and key.
    """
    source = read(file)
    source.check_keys((), source.data, _KEYS)
    presets = source.data.get("presets", {})
    if not isinstance(presets, Mapping):
        raise source.error(("presets",), f"expected preset: rate, got {presets!r}")
    of_preset = {str(name): _number(source, ("presets", str(name)), presets) for name in presets}
    single = {key: _number(source, (key,), source.data) for key in _SINGLE if key in source.data}
    try:
        return GivenRates(of_preset=of_preset, **single)
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from error


def _number(source: Source, path: tuple[str, ...], values: Mapping[str, object]) -> float:
    value = values[path[-1]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise source.error(path, f"expected images per second, got {value!r}")
    return value


def _check(where: str, rate: float | None) -> None:
    if rate is not None and not 0 < rate < float("inf"):
        raise SpecError(f"{where} {rate}: expected a number above 0")
