"""Schedules at several numbers of devices: as lines and as plain data."""

from runners.planning.scaling_study import Scaled
from runners.planning.text.words import aligned, counted, device_hours, spoken_time


def scaled_lines(scaled: Scaled) -> list[str]:
    """Return a table of schedules, and where more devices stop helping."""
    first = scaled.schedules[0] if scaled.schedules else None
    each = counted(scaled.devices, "device") + " a training"
    assumed = f"; {scaled.assumption}" if scaled.assumption else ""
    lines = [f"simulated schedule, {each}, longest first{assumed}"]
    if first is None:
        return [*lines, "  unknown: not every arm's rate of training is known"]
    heads = ("devices", "wall time", "in use", "idle device-hours")
    rows = [
        (
            str(one.num_devices),
            spoken_time(one.seconds),
            f"{one.used:.1%}",
            device_hours(one.idle_seconds),
        )
        for one in scaled.schedules
    ]
    chain = " + ".join(scaled.titles.get(task.key, task.key) for task in first.chain)
    return [
        *lines,
        *aligned([heads, *rows], numbers=True),
        f"  critical path {spoken_time(first.chain_seconds)}: {chain or 'nothing is left to do'}",
        f"  shortest with {counted(scaled.enough, 'device')}; more do not help",
    ]


def scaled_facts(scaled: Scaled) -> dict[str, object]:
    """Return schedules as plain data."""
    return {
        "devices_per_training": scaled.devices,
        "efficiency": scaled.efficiency,
        "enough_devices": scaled.enough,
        "at": [
            {
                "devices": one.num_devices,
                "seconds": one.seconds,
                "device_seconds": one.busy_seconds,
                "idle_device_seconds": one.idle_seconds,
                "used": one.used,
                "critical_path_seconds": one.chain_seconds,
                "critical_path": [scaled.titles.get(task.key, task.key) for task in one.chain],
            }
            for one in scaled.schedules
        ],
    }
