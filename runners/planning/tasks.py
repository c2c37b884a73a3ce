"""What is left of one ablation's plan as tasks: a job for each training, then the timing."""

from collections.abc import Sequence

from runners.planning.cost import Estimate
from runners.planning.plan import Plan
from runners.planning.scaling_study import Scaled, scaled
from runners.planning.simulation import Task
from runners.planning.text.scaling import scaled_lines
from runners.planning.text.words import HOUR, device_hours

TIMING = "timing"


def plan_tasks(
    plan: Plan, cost: Estimate, *, devices: int = 1, efficiency: float = 1.0
) -> list[Task] | None:
    """Return the tasks of a plan; None where the time of a training is unknown.

    A job holds its devices through its training and the evaluations that follow it. That these
    are sharded is not counted on, and where their rate is unknown they are left out. Arms are
    timed on one device after all jobs, as long as the rounds may take.
    """
    train: dict[str, float] = {}
    detect: dict[str, float] = {}
    counted = cost.detect_seconds is not None
    for step, of in zip(plan.steps, cost.steps, strict=True):
        if step.failed:
            continue
        if of.train_seconds is None:
            return None
        key = step.unit.run.train_digest
        train[key] = train.get(key, 0.0) + of.train_seconds
        detect[key] = detect.get(key, 0.0) + (of.detect_seconds or 0.0 if counted else 0.0)
    speed_up = 1.0 if devices == 1 else devices * efficiency
    tasks = [
        Task(key=key, seconds=train[key] / speed_up + detect[key], devices=devices)
        for key in train
        if train[key] or detect[key]
    ]
    latency = plan.ablation.latency
    if "latency" in plan.ablation.measure and not plan.timed:
        after = tuple(task.key for task in tasks)
        seconds = latency.max_s * len(latency.scenarios)
        tasks.append(Task(key=TIMING, seconds=seconds, after=after))
    return tasks


def scale_plan(
    plan: Plan, cost: Estimate, *, slots: int, devices: int, efficiency: float | None
) -> Scaled:
    """Return the schedule of a plan with `slots` trainings side by side, each on `devices`.

    Raises:
        SpecError: an efficiency that is none.
    """

    def tasks(number: int, reached: float) -> Sequence[Task] | None:
        return plan_tasks(plan, cost, devices=number, efficiency=reached)

    titles: dict[str, str] = {}
    for step in plan.steps:
        titles.setdefault(step.unit.run.train_digest, step.unit.title)
    return scaled(tasks, [slots * devices], devices=devices, efficiency=efficiency, titles=titles)


def scale_lines(scale: Scaled, *, price: float | None) -> list[str]:
    """Return device-hours and their price, and the schedule where more than one device is used."""
    if not scale.schedules:
        return scaled_lines(scale) if scale.devices > 1 else []
    (schedule,) = scale.schedules
    if not schedule.placed:
        return []
    lines = [f"device-hours, timing included: {device_hours(schedule.busy_seconds)}"]
    cost = priced(scale, price)
    if cost is not None:
        lines.append(f"price: {cost:,.2f} at {price:g} per device-hour")
    return [*lines, *scaled_lines(scale)] if schedule.num_devices > 1 else lines


def priced(scale: Scaled, price_per_hour: float | None) -> float | None:
    """Return what the device-hours cost; None if they or their price are unknown."""
    if price_per_hour is None or not scale.schedules:
        return None
    return scale.schedules[0].busy_seconds / HOUR * price_per_hour
