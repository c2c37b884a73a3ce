"""Training logs as curves: work/checkpoints/<train_digest>/log.jsonl."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.training_log import read_log

Points = tuple[tuple[int, float], ...]  # (iteration, value), by iteration


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What one training logged. Arms that share the training share the curve."""

    label: str  # the arms, and the seed where there are several
    losses: Mapping[str, Points]  # "total" first, then the parts
    validation: Mapping[str, Points]  # metric → fraction


def read_curve(file: Path, *, label: str) -> Curve | None:
    """Return the curve logged in `file`, None if there is no such file or it is empty.

    A resumed training logs the iterations since its checkpoint again: the later line counts.
    """
    losses: dict[str, dict[int, float]] = {"total": {}}
    validation: dict[str, dict[int, float]] = {}
    for entry in read_log(file):
        iteration = int(str(entry["iteration"]))
        if "total" in entry:
            _put(losses, {"total": entry["total"]}, iteration)
        _put(losses, entry.get("losses"), iteration)
        _put(validation, entry.get("validation"), iteration)
    if not losses["total"] and not validation:
        return None
    return Curve(
        label=label,
        losses={name: _points(values) for name, values in losses.items() if values},
        validation={name: _points(values) for name, values in validation.items()},
    )


def _put(curves: dict[str, dict[int, float]], values: object, iteration: int) -> None:
    if isinstance(values, Mapping):
        for name, value in values.items():
            if isinstance(value, int | float):  # an undefined AP is None
                curves.setdefault(name, {})[iteration] = float(value)


def _points(values: Mapping[int, float]) -> Points:
    # A loss that overflowed ends its curve: it is a Failure record, not a point of a figure.
    return tuple((i, values[i]) for i in sorted(values) if math.isfinite(values[i]))
