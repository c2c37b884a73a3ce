"""The plan of a sweep: as lines and as plain data."""

from runners.planning.simulation import ScalingStudy
from runners.planning.sweep import SweepPlan
from runners.planning.text.scaling import scaling_facts, scaling_lines
from yolact_bench.text import HOUR, count, device_hours, duration


def sweep_lines(plan: SweepPlan, study: ScalingStudy, *, price: float | None) -> list[str]:
    """Return what a sweep would do, what it costs at most, and how long that takes."""
    spec = plan.spec
    kind = "each a training" if spec.trains else "each a replay of the base's forward pass"
    lines = [
        f"{spec.name}: {spec.question}",
        f"sweep of {count(spec.trials, 'trial')}, {kind}; mode {spec.mode}",
    ]
    trainings = count(plan.trainings, "training")
    if spec.trains:
        scope = "all settings" if plan.whole else "settings at the ends of its ranges"
        lines.append(f"to do: at most {trainings}, if no trial is pruned; {scope}: {plan.settings}")
    else:
        replays = count(spec.trials, "replay")
        lines.append(f"to do: {trainings} of the base, one forward pass, {replays}")
    lines += _cost_lines(plan, price)
    if plan.timing_seconds:
        lines.append(f"timing on one device: at most {duration(plan.timing_seconds)}")
    if not spec.trains:
        lines.append("forward pass and replays are not counted: their rate is unknown")
    return [*lines, *scaling_lines(study)] if plan.trainings else lines


def sweep_facts(plan: SweepPlan, study: ScalingStudy, *, price: float | None) -> dict[str, object]:
    """Return the same as plain data; times in seconds, null where unknown."""
    most = plan.device_seconds(plan.dearest_seconds)
    return {
        "sweep": plan.spec.name,
        "budget": plan.spec.budget,
        "trials": plan.spec.trials,
        "replays": 0 if plan.spec.trains else plan.spec.trials,
        "trainings_at_most": plan.trainings,
        "settings": plan.settings,
        "all_settings": plan.whole,
        "training_seconds": [plan.cheapest_seconds, plan.dearest_seconds],
        "device_seconds_at_most": [plan.device_seconds(plan.cheapest_seconds), most],
        "timing_seconds_at_most": plan.timing_seconds,
        "price_at_most": None if price is None or most is None else most / HOUR * price,
        "schedule": scaling_facts(study),
    }


def _cost_lines(plan: SweepPlan, price: float | None) -> list[str]:
    if not plan.trainings:
        return []
    low, high = plan.cheapest_seconds, plan.dearest_seconds
    if low is None or high is None:
        return ["training: time unknown; give --images-per-second 50, or yolact_r101=45"]
    each = duration(low) if low == high else f"{duration(low)} to {duration(high)}"
    least, most = (device_hours(plan.device_seconds(value)) for value in (low, high))
    spread = most if least == most else f"{least} (all cheapest) to {most} (all dearest)"
    lines = [
        f"training: {each} on one device ({plan.source})",
        f"device-hours of training: {spread}",
    ]
    if price is not None:
        cost = plan.trainings * high / HOUR * price
        lines.append(f"price: {cost:,.0f} at {price:g} per device-hour (all dearest)")
    return lines
