"""Times and counts of a plan in words, and simulated schedules as lines and as plain data."""

from collections.abc import Sequence

from runners.planning.simulation import ScalingStudy

HOUR = 3600.0


def aligned(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return rows as lines of even columns; all but the first to the right where `numbers`."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join(_cells(row, widths, numbers)).rstrip() for row in rows]


def counted(number: int, word: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def spoken_time(seconds: float) -> str:
    """Return a time with a unit that keeps its number readable."""
    for unit, least, length in (
        ("days", 48 * HOUR, 24 * HOUR),
        ("h", 1.5 * HOUR, HOUR),
        ("min", 90.0, 60.0),
    ):
        if seconds >= least:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def device_hours(seconds: float | None) -> str:
    """Return device-seconds as hours, with the precision at which a sum of them is read."""
    if seconds is None:
        return "?"
    hours = seconds / HOUR
    return f"{hours:,.0f}" if hours >= 100 else f"{round(hours, 4):.3g}"


def scaling_lines(study: ScalingStudy) -> list[str]:
    """Return a table of simulations, and where more devices stop helping."""
    each = counted(study.devices, "device") + " per training"
    assumption = f"; {study.assumption}" if study.assumption else ""
    lines = [f"simulation, {each}, longest first{assumption}"]
    if not study.simulations:
        return [*lines, "  unknown: not every arm's rate of training is known"]
    heads = ("devices", "wall time", "in use", "idle device-hours")
    rows = [
        (
            str(one.num_devices),
            spoken_time(one.seconds),
            f"{one.utilisation:.1%}",
            device_hours(one.idle_seconds),
        )
        for one in study.simulations
    ]
    first = study.simulations[0]
    chain = " + ".join(study.titles.get(task.key, task.key) for task in first.chain)
    return [
        *lines,
        *aligned([heads, *rows], numbers=True),
        f"  critical path {spoken_time(first.chain_seconds)}: {chain or 'nothing is left to do'}",
        f"  shortest with {counted(study.enough, 'device')}; more do not help",
    ]


def scaling_facts(study: ScalingStudy) -> dict[str, object]:
    """Return simulations as plain data."""
    return {
        "devices_per_training": study.devices,
        "efficiency": study.efficiency,
        "enough_devices": study.enough,
        "at": [
            {
                "devices": one.num_devices,
                "seconds": one.seconds,
                "device_seconds": one.busy_seconds,
                "idle_device_seconds": one.idle_seconds,
                "used": one.utilisation,
                "critical_path_seconds": one.chain_seconds,
                "critical_path": [study.titles.get(task.key, task.key) for task in one.chain],
            }
            for one in study.simulations
        ],
    }


def price_of(study: ScalingStudy, per_hour: float | None) -> float | None:
    """Return what the device-hours cost; None if they or their price are unknown."""
    if per_hour is None or not study.simulations:
        return None
    return study.simulations[0].busy_seconds / HOUR * per_hour


def cost_lines(study: ScalingStudy, *, per_hour: float | None) -> list[str]:
    """Return device-hours and their price, and the schedule where more than one device is used."""
    if not study.simulations:
        return scaling_lines(study) if study.devices > 1 else []
    (simulation,) = study.simulations
    if not simulation.spans:
        return []
    lines = [f"device-hours, timing included: {device_hours(simulation.busy_seconds)}"]
    price = price_of(study, per_hour)
    if price is not None:
        lines.append(f"price: {price:,.2f} at {per_hour:g} per device-hour")
    return [*lines, *scaling_lines(study)] if simulation.num_devices > 1 else lines


def _cells(row: Sequence[str], widths: Sequence[int], numbers: bool) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.rjust(w) if numbers and column else cell.ljust(w) for column, (cell, w) in pairs]
