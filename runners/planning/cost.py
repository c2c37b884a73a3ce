"""What a plan would cost in device-hours and on disk, and its tasks, before anything starts."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from runners.evaluation.stored_pass import lowest_score
from runners.planning.plan import Plan, Step
from runners.planning.rates import Throughput, total
from runners.planning.simulation import ScalingStudy, Task, study_scaling
from runners.planning.user_rates import UserRates
from runners.system.environment import environment, nearest_folder
from runners.timing.records import NO_LIMITS, TimingLimits
from runners.units.meta_network import meta_network
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.schedule import OPTIMIZERS
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import build_schedule

_FLOAT32 = 4  # bytes
# A stored pass keeps the candidates of an image beside its prototypes. How many there are depends
# on the network; 1000 is a generous number at a lowest score of 0.05.
_CANDIDATES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """Seconds of one unit; None where the time is unknown, 0 where nothing is to be done."""

    train_seconds: float | None
    detect_seconds: float | None  # network and detection on the evaluation images; not scoring
    train_source: str = ""  # how the rate is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan would cost on this device. Bytes are those of what is still to be written."""

    device: str
    steps: tuple[StepCost, ...]  # in the order of the plan's
    checkpoint_bytes: int  # final.pt
    training_bytes: int  # in addition while one trains
    forward_bytes: int  # stored forward passes
    free_bytes: int  # on the disk of the work directory

    @property
    def train_seconds(self) -> float | None:
        """Of all trainings; None if any is unknown."""
        return total([step.train_seconds for step in self.steps])

    @property
    def detect_seconds(self) -> float | None:
        """Of all evaluations without scoring; None if any is unknown."""
        return total([step.detect_seconds for step in self.steps])

    @property
    def sources(self) -> tuple[str, ...]:
        """How the rates of training are known, each once."""
        return tuple(dict.fromkeys(s.train_source for s in self.steps if s.train_source))


def estimate(plan: Plan, place: Workplace, user: UserRates) -> Estimate:
    """Return what is left of a plan in seconds and bytes.

    Rates are the user's, or measured on this device in this work directory; others stay unknown.

    Raises:
        SpecError: evaluation data that cannot be read, or a forward pass that would be larger
            than may be stored.
    """
    device = environment(place.device).device
    rates = Throughput(place, user, device=device)
    trainings = [step.unit.run for step in plan.steps if step.trains]
    weights = [_weights_bytes(run) for run in trainings]
    # last.pt: the weights, and the moments of each.
    copies = [1 + OPTIMIZERS[build_schedule(run).optimizer].moments for run in trainings]
    passes = _stored_passes(plan) if place.max_store_bytes else []
    pass_bytes = [_forward_bytes(unit.run) * num_images(unit, place) for unit in passes]
    for unit, of_pass in zip(passes, pass_bytes, strict=True):
        if of_pass > place.max_store_bytes:
            raise SpecError(
                f"the stored forward pass of {unit.title} would take about {of_pass / 1e9:.1f} GB, "
                f"more than --max-store {place.max_store_bytes / 1e9:g}; allow more, leave arms "
                "out with --only, or give --max-store 0 to run the whole detector for every arm"
            )
    return Estimate(
        device=device,
        steps=tuple(_cost(step, rates, place) for step in plan.steps),
        checkpoint_bytes=sum(weights),
        training_bytes=max((w * c for w, c in zip(weights, copies, strict=True)), default=0),
        forward_bytes=sum(pass_bytes),
        free_bytes=shutil.disk_usage(nearest_folder(place.work_dir)).free,
    )


def _stored_passes(plan: Plan) -> list[Unit]:
    """One unit of each pass that will be written: a pass that serves a single unit is not."""
    pending: dict[str, dict[str, Step]] = {}
    for step in plan.steps:
        if step.is_missing and lowest_score(step.unit.run) is not None:
            run = step.unit.run
            pending.setdefault(run.forward_digest, {})[run.detect_digest] = step
    groups = [tuple(steps.values()) for steps in pending.values() if len(steps) > 1]
    return [steps[0].unit for steps in groups if not all(step.has_pass for step in steps)]


def _cost(step: Step, rates: Throughput, place: Workplace) -> StepCost:
    train: float | None = 0.0
    detect: float | None = 0.0
    train_source = ""
    run = step.unit.run
    if step.trains:
        schedule = build_schedule(run)
        left = (schedule.iterations - rates.iterations_done(run)) * schedule.batch_size
        rate = rates.training(run)
        train, train_source = (rate.seconds(left), rate.text) if rate else (None, "")
    if step.is_missing:
        rate = rates.detection(run)
        detect = rate.seconds(num_images(step.unit, place)) if rate else None
    return StepCost(train_seconds=train, detect_seconds=detect, train_source=train_source)


def num_images(unit: Unit, place: Workplace) -> int:
    """Return how many images a unit is evaluated on.

    Raises:
        SpecError: a data set that cannot be read.
    """
    return len(place.datasets.open(unit.data, unit.split))


def _weights_bytes(run: Run) -> int:
    """Bytes of final.pt."""
    tensors = meta_network(run).state_dict().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _forward_bytes(run: Run) -> int:
    """Bytes that a stored forward pass keeps of one image: about 3 MB at 550 px."""
    k = meta_network(run).protonet.k
    of_candidate = 4 + len(run.classes) + 1 + k  # box, class scores, coefficients
    return _FLOAT32 * (prototype_size(run.image_size) ** 2 * k + _CANDIDATES * of_candidate)


def plan_tasks(
    plan: Plan, cost: Estimate, devices: int, speed_up: float, timing: TimingLimits = NO_LIMITS
) -> list[Task] | None:
    """Return the tasks of a plan; None where the time of a training is unknown.

    A job holds its devices through its training, with a `speed_up` over one device, and the
    evaluations that follow it. Sharded evaluation is not assumed, and evaluations of unknown rate
    are left out. Arms are timed on one device after all jobs, as long as the rounds may take.
    """
    train: dict[str, float] = {}
    detect: dict[str, float] = {}
    for step, of_step in zip(plan.steps, cost.steps, strict=True):
        if of_step.train_seconds is None:
            return None
        key = step.unit.run.train_digest
        train[key] = train.get(key, 0.0) + of_step.train_seconds
        detect[key] = detect.get(key, 0.0) + (of_step.detect_seconds or 0.0)
    tasks = [
        Task(key=key, seconds=train[key] / speed_up + detect[key], devices=devices)
        for key in train
        if train[key] or detect[key]
    ]
    latency = timing.apply(plan.ablation.latency)
    if "latency" in plan.ablation.measure and not plan.timed:
        after = tuple(task.key for task in tasks)
        seconds = latency.max_s * len(latency.scenarios)
        tasks.append(Task(key="timing", seconds=seconds, after=after))
    return tasks


def scale_plan(
    plan: Plan,
    cost: Estimate,
    numbers: Sequence[int],
    *,
    devices: int,
    efficiency: float | None,
    timing: TimingLimits = NO_LIMITS,
) -> ScalingStudy:
    """Simulate a plan on each number of devices, of which each training takes `devices`.

    Raises:
        SpecError: fewer devices than one training takes.
    """
    return study_scaling(
        partial(plan_tasks, plan, cost, timing=timing),
        numbers,
        devices=devices,
        efficiency=efficiency,
        # The first unit that needs a training gives its name.
        titles={s.unit.train_digest: s.unit.title for s in reversed(plan.steps) if s.is_missing},
    )
