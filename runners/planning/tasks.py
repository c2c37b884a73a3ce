"""What is left of one ablation's plan as tasks: a job for each training, then the timing."""

from runners.planning.cost import Estimate
from runners.planning.plan import Plan
from runners.planning.simulation import ScalingStudy, Task, speed_up, study_scaling

TIMING = "timing"


def plan_tasks(
    plan: Plan, cost: Estimate, *, devices: int = 1, efficiency: float = 1.0
) -> list[Task] | None:
    """Return the tasks of a plan; None where the time of a training is unknown.

    A job holds its devices through its training and the evaluations that follow it. Sharded
    evaluation is not assumed, and evaluations of unknown rate are left out. Arms are timed on
    one device after all jobs, as long as the rounds may take.
    """
    train: dict[str, float] = {}
    detect: dict[str, float] = {}
    for step, of_step in zip(plan.steps, cost.steps, strict=True):
        if step.failed:
            continue
        if of_step.train_seconds is None:
            return None
        key = step.unit.run.train_digest
        seconds = 0.0 if cost.detect_seconds is None else of_step.detect_seconds or 0.0
        train[key] = train.get(key, 0.0) + of_step.train_seconds
        detect[key] = detect.get(key, 0.0) + seconds
    faster = speed_up(devices, efficiency)
    tasks = [
        Task(key=key, seconds=train[key] / faster + detect[key], devices=devices)
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
) -> ScalingStudy:
    """Simulate a plan with `slots` trainings side by side, each on `devices`.

    Raises:
        SpecError: an invalid efficiency.
    """
    titles: dict[str, str] = {}
    for step in plan.steps:
        titles.setdefault(step.unit.run.train_digest, step.unit.title)
    return study_scaling(
        lambda number, share: plan_tasks(plan, cost, devices=number, efficiency=share),
        [slots * devices],
        devices=devices,
        efficiency=efficiency,
        titles=titles,
    )
