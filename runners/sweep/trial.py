"""A trial as the bench carries it out: its run, and the numbers that its records give."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runners.evaluation.score import Scores
from runners.units.check import check
from runners.units.device_checks import check_possible
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.build import build_schedule
from yolact_bench.resolve import resolve_run
from yolact_bench.results.record import Accuracy, ApSummary
from yolact_bench.spec.budget import FULL
from yolact_bench.spec.run import ARCHITECTURE, DETECTION, MEASUREMENT, Run
from yolact_bench.spec.sweep.keys import AP_METRICS
from yolact_bench.spec.sweep.space import Params, changes_of, corners
from yolact_bench.spec.sweep.sweep import SweepSpec

BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes units of a sweep's runs."""

    spec: SweepSpec
    place: Workplace
    data_root: Path | None
    data: bool = True  # without it, files of the data set are not looked at

    def base(self) -> Unit:
        """Return the base itself, checked.

        Raises:
            SpecError: whatever is wrong with it.
        """
        run, data = check(
            self.spec.run,
            where=self.spec.where("base"),
            data_root=self.data_root,
            device=self.place.device,
            data=self.data,
        )
        return self._unit(BASE, run, data)

    def trial(self, number: int, params: Params) -> Unit:
        """Return the unit of a trial.

        Raises:
            SpecError: choices that do not go together, although each is possible.
        """
        changed = self.spec.changed(changes_of(self.spec.space, params))
        if not self.spec.replays:
            run, data = check(
                changed,
                where=f"trial {number}",
                data_root=self.data_root,
                device=self.place.device,
            )
            return self._unit(f"trial_{number}", run, data)
        # The network is the base's, which has been built once.
        run, data = resolve_run(changed, data_root=self.data_root)
        check_possible(run, self.place.device)
        return self._unit(f"trial_{number}", run, data)

    def check_space(self) -> list[Run]:
        """Return the runs at the borders of the space: every component and end of a range once.

        Raises:
            SpecError: with the line of the first that cannot be.
        """
        found = []
        for inner, changes in corners(self.spec.space):
            run, _ = check(
                self.spec.changed(changes),
                where=self.spec.where("space", *inner),
                data_root=self.data_root,
                device=self.place.device,
                data=self.data,
            )
            found.append(run)
        return found

    def _unit(self, arm: str, run: Run, data: object) -> Unit:
        return Unit(
            ablation=self.spec.name,
            arm=arm,
            seed=0,
            run=run,
            data=data,  # type: ignore[arg-type]
            proxy=self.spec.budget != FULL,
        )


def timed_as(run: Run) -> str:
    """Return what decides how fast a run is before it is trained, as one word."""
    slots = (*ARCHITECTURE, *DETECTION, *MEASUREMENT)
    text = json.dumps([getattr(run, slot) for slot in slots], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def metrics_of_scores(scores: Scores) -> dict[str, float]:
    """Return AP and AR by name, as fractions; what has no ground truth is left out."""
    return _ap_metrics(box=scores.box, mask=scores.mask)


def metrics_of(accuracy: Accuracy) -> dict[str, float]:
    """Return all metrics of a record by name."""
    costs = {
        "parameters": accuracy.parameters,
        "macs": accuracy.macs,
        "train_seconds": accuracy.train_seconds,
        "peak_memory_mb": accuracy.peak_memory_mb,
    }
    known = {name: float(cost) for name, cost in costs.items() if cost is not None}
    return {**_ap_metrics(box=accuracy.box, mask=accuracy.mask), **known}


def with_validation(place: Workplace, spec: SweepSpec, unit: Unit) -> Workplace:
    """Return the workplace of a trial's training, which is looked at often enough to prune."""
    tenth = max(1, build_schedule(unit.run).iterations // 10)
    return replace(place, validate_every=spec.validate_every or tenth)


def _ap_metrics(*, box: ApSummary, mask: ApSummary) -> dict[str, float]:
    found = {}
    for name in AP_METRICS:
        kind, _, metric = name.partition("_")
        value = getattr(mask if kind == "mask" else box, metric)
        if value is not None:
            found[name] = float(value)
    return found


def missing_metric(spec: SweepSpec, metrics: Mapping[str, float]) -> str:
    """Return the first objective that a trial has no number for, or nothing."""
    return next((one.metric for one in spec.objectives if one.metric not in metrics), "")
