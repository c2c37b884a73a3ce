"""Lines of a training's log.jsonl, as every reader takes them, and as points of curves."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from yolact_bench.text_file import open_regular

Logged = Callable[[int, Mapping[str, float]], None]  # receives the points of a training
LoggedPoint = tuple[int, dict[str, float]]  # iteration, and values by the name of their curve


def read_log(file: Path) -> list[dict[str, object]]:
    """Return the whole lines of a log; [] where there is none.

    Raises:
        SpecError: a folder, pipe or device in its place.
    """
    if not file.exists():
        return []
    with open_regular(file) as opened:
        lines = opened.read().splitlines()
    return [entry for line in lines if (entry := log_entry(line)) is not None]


def log_entry(line: bytes) -> dict[str, object] | None:
    """Return a line of a log, or None where a kill or a power loss tore it.

    The iterations of such a line are trained and logged again.
    """
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_entry = isinstance(entry, dict) and type(entry.get("iteration")) is int
    return entry if is_entry else None


def entry_points(entry: Mapping[str, object]) -> LoggedPoint | None:
    """Return what `curve_points` does, or None where an entry has no such values."""
    try:
        return curve_points(entry)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def amount_in(entry: Mapping[str, object], key: str) -> float | None:
    """Return a number above 0, such as the seconds of an entry; None where it has no such."""
    amount = entry.get(key)
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    return float(str(amount)) if is_number and 0 < float(str(amount)) < math.inf else None


def curve_points(line: Mapping[str, object]) -> LoggedPoint:
    """Return the iteration of a line, and its values, such as train/loss_box and val/mask_ap.

    Raises:
        KeyError, TypeError, ValueError: the line is not one of a training's log.
    """
    iteration = _number(line["iteration"])
    if "validation" in line:
        metrics = _mapping(line["validation"])
        defined = {name: value for name, value in metrics.items() if value is not None}
        return int(iteration), {f"val/{name}": _number(value) for name, value in defined.items()}
    losses = {f"loss_{name}": value for name, value in _mapping(line["losses"]).items()}
    rates = {name: line[name] for name in ("lr", "images_per_second")}
    # How the time since the last line was spent; logs of earlier versions do not say it.
    times = {
        f"interval/{name}": value for name, value in _mapping(line.get("interval", {})).items()
    }
    values = {**losses, "loss": line["total"], **rates, **times}
    return int(iteration), {f"train/{name}": _number(value) for name, value in values.items()}


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping, got {value!r}")
    return value
