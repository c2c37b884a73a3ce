"""What a plan would cost in device-hours and on disk, before anything starts."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from runners.arms.shared_pass import replayable
from runners.planning.plan import Plan, Step
from runners.planning.rates import GivenRates
from runners.planning.throughput import Throughput
from runners.system.environment import environment
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.build import build_network, build_schedule, prototype_size
from yolact_bench.errors import SpecError
from yolact_bench.results.store import Store
from yolact_bench.spec.dataset.dataset import ShapesSplit
from yolact_bench.spec.run import ARCHITECTURE, Run

_FLOAT32 = 4  # bytes
# A stored pass keeps the candidates of an image beside its prototypes. How many there are depends
# on the network; 1000 is an ample number at a lowest score of 0.05.
_CANDIDATES = 1000
_MOMENTS: Mapping[str, int] = {"sgd": 1, "adamw": 2}  # numbers per weight that an optimiser keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """Seconds of one unit; None where the time is not known, 0 where nothing is to be done."""

    train_seconds: float | None
    detect_seconds: float | None  # network and detection on the evaluation images; not scoring
    train_source: str = ""  # how the rate is known
    detect_source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan would cost on this device. Bytes are those of what is still to be written."""

    device: str
    steps: tuple[StepCost, ...]  # in the order of the plan's
    checkpoint_bytes: int  # kept
    training_bytes: int  # more, while a training goes on
    forward_bytes: int  # stored forward passes
    free_bytes: int  # on the disk of the work directory

    @property
    def train_seconds(self) -> float | None:
        """Of all trainings; None if any is unknown."""
        return _total([step.train_seconds for step in self.steps])

    @property
    def detect_seconds(self) -> float | None:
        """Of all evaluations but their scoring; None if any is unknown."""
        return _total([step.detect_seconds for step in self.steps])

    @property
    def sources(self) -> tuple[str, ...]:
        """How the rates of training are known, each once."""
        return tuple(dict.fromkeys(s.train_source for s in self.steps if s.train_source))


def estimate(
    plan: Plan,
    place: Workplace,
    store: Store,
    *,
    images_per_second: float | None = None,
    given: GivenRates | None = None,
) -> Estimate:
    """Return what is left of a plan in seconds and bytes.

    Rates come from this work directory's own records of this device, or are given: as
    `images_per_second` of every training or more finely; what is not known stays unknown.

    Raises:
        SpecError: a rate that is no rate, evaluation data that cannot be read, or forward passes
            that would be larger than may be stored.
    """
    device = environment(place.device).device
    given = given or GivenRates(every=images_per_second)
    rates = Throughput(store, place.work_dir, device=device, given=given)
    trainings = [step.unit.run for step in plan.steps if step.trains]
    weights = [_weights_bytes(run) for run in trainings]
    passes = _stored_passes(plan) if place.max_store else []
    found = Estimate(
        device=device,
        steps=tuple(_cost(step, rates, place) for step in plan.steps),
        checkpoint_bytes=sum(weights),
        training_bytes=max(map(_training_bytes, trainings), default=0),
        forward_bytes=sum(_forward_bytes(unit.run) * _num_images(unit, place) for unit in passes),
        free_bytes=_free_bytes(place.work_dir),
    )
    if found.forward_bytes > place.max_store:
        raise SpecError(
            f"the stored forward passes would take about {found.forward_bytes / 1e9:.1f} GB, more "
            f"than --max-store {place.max_store / 1e9:g}; allow more, leave arms out with --only, "
            "or give --max-store 0 to run the whole detector for every arm"
        )
    return found


def _stored_passes(plan: Plan) -> list[Unit]:
    """One unit of each pass that will be kept: a pass that serves a single unit is not."""
    pending: dict[str, dict[str, Unit]] = {}
    for step in plan.steps:
        if not step.evaluated and replayable(step.unit):
            run = step.unit.run
            pending.setdefault(run.forward_digest, {})[run.detect_digest] = step.unit
    return [next(iter(units.values())) for units in pending.values() if len(units) > 1]


def _cost(step: Step, rates: Throughput, place: Workplace) -> StepCost:
    train: float | None = 0.0
    detect: float | None = 0.0
    train_source = detect_source = ""
    run = step.unit.run
    if step.trains:
        schedule = build_schedule(run)
        left = (schedule.iterations - rates.iterations_done(run)) * schedule.batch_size
        rate = rates.training(run)
        train = None if rate is None else left / rate.per_second
        train_source = "" if rate is None else f"{rate.per_second:.3g} images/s {rate.source}"
    if not step.evaluated:
        rate = rates.detection(run)
        detect = None if rate is None else _num_images(step.unit, place) / rate.per_second
        detect_source = "" if rate is None else f"{rate.per_second:.3g} images/s {rate.source}"
    return StepCost(
        train_seconds=train,
        detect_seconds=detect,
        train_source=train_source,
        detect_source=detect_source,
    )


def _num_images(unit: Unit, place: Workplace) -> int:
    split = unit.data.split(unit.split)
    if isinstance(split, ShapesSplit):
        return split.num_images
    return len(place.datasets.open(unit.data, unit.split))


def _forward_bytes(run: Run) -> int:
    """Bytes that a stored forward pass keeps of one image: about 3 MB at 550 px."""
    k = int(str(run.protonet["k"]))
    of_candidate = 4 + len(run.classes) + 1 + k  # box, class scores, coefficients
    return _FLOAT32 * (prototype_size(run) ** 2 * k + _CANDIDATES * of_candidate)


def _training_bytes(run: Run) -> int:
    """Bytes of last.pt: the weights and what the optimiser remembers of each."""
    return _weights_bytes(run) * (1 + _MOMENTS[build_schedule(run).optimizer])


def _weights_bytes(run: Run) -> int:
    """Bytes of final.pt, counted on a network without storage."""
    key = json.dumps([getattr(run, slot) for slot in ARCHITECTURE], sort_keys=True)
    if key not in _counted:
        with torch.device("meta"):
            tensors = build_network(run, initial=False).state_dict().values()
        _counted[key] = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return _counted[key]


_counted: dict[str, int] = {}


def _free_bytes(folder: Path) -> int:
    there = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
    return shutil.disk_usage(there).free


def _total(seconds: list[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None
