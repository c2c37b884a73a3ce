"""Lines of a training's log.jsonl as points of curves. Every reader gives them the same names."""

from collections.abc import Mapping

LoggedPoint = tuple[int, dict[str, float]]  # iteration, and values by the name of their curve


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
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping, got {value!r}")
    return value
