"""Simulated schedules as lines and as plain data."""

from runners.planning.simulation import ScalingStudy
from yolact_bench.text import HOUR, align, count, device_hours, duration


def scaling_lines(study: ScalingStudy) -> list[str]:
    """Return a table of simulations, and where more devices stop helping."""
    each = count(study.devices, "device") + " per training"
    assumption = f"; {study.assumption}" if study.assumption else ""
    lines = [f"simulation, {each}, longest first{assumption}"]
    if not study.simulations:
        return [*lines, "  unknown: not every arm's rate of training is known"]
    heads = ("devices", "wall time", "in use", "idle device-hours")
    rows = [
        (
            str(one.num_devices),
            duration(one.seconds),
            f"{one.utilisation:.1%}",
            device_hours(one.idle_seconds),
        )
        for one in study.simulations
    ]
    first = study.simulations[0]
    chain = " + ".join(study.titles.get(task.key, task.key) for task in first.chain)
    return [
        *lines,
        *align([heads, *rows], left=(0,)),
        f"  critical path {duration(first.chain_seconds)}: {chain or 'nothing is left to do'}",
        f"  shortest with {count(study.enough, 'device')}; more do not help",
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
