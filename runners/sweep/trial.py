"""Trials as units: their runs, and the metrics of their records."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runners.units.check import check, check_possible
from runners.units.check_parts import Part, check_parts
from runners.units.known_data import resolve_in
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.errors import SpecError
from yolact_bench.resolve import in_effect
from yolact_bench.results.metrics import Summaries, fraction
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.accuracies import ACCURACIES
from yolact_bench.spec.budget_names import FULL
from yolact_bench.spec.run import ARCHITECTURE, DETECTION, MEASUREMENT, Run
from yolact_bench.spec.sweep.keys import COST_METRICS
from yolact_bench.spec.sweep.space import Params, changes_of, corners
from yolact_bench.spec.sweep.sweep import SweepSpec

BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFactory:
    """Makes the units of a sweep."""

    spec: SweepSpec
    place: Workplace
    data_root: Path | None
    data: bool = True  # whether to look at the files of the data set

    def base(self) -> Unit:
        """Return the base, checked.

        Raises:
            SpecError: whatever is wrong with it.
        """
        return self._unit(BASE, *self._check(self.spec.run, self.spec.where("base")))

    def trial(self, number: int, params: Params) -> Unit:
        """Return the unit of a trial.

        Raises:
            SpecError: choices that are possible one by one but not together.
        """
        run = self.spec.changed(changes_of(self.spec.space, params))
        if not self.spec.replays:
            resolved, data = self._check(run, f"trial {number}")
        else:  # the network is the base's, which has been built once
            resolved, data = resolve_in(self.place, run, data_root=self.data_root)
            check_possible(resolved, self.place.device)
        return self._unit(f"trial_{number}", resolved, data)

    def check_corners(self) -> list[Run]:
        """Return the runs at the corners of the space: every component and end of a range once.

        Raises:
            SpecError: with the lines of all that cannot work, or are another's run.
        """
        runs: dict[tuple[str, str], Run] = {}

        def check_corner(keys: Sequence[str], changes: Mapping[str, object], where: str) -> None:
            run, _ = self._check(self.spec.changed(changes), where)
            twin = runs.setdefault((keys[0], in_effect(run).detect_digest), run)
            if twin is not run:
                slot = keys[0].partition(".")[0]
                raise SpecError(
                    f"{where}: {getattr(run, slot)} is the same as {getattr(twin, slot)}, which is "
                    "there too; remove one of them"
                )

        parts = []
        for keys, changes in corners(self.spec.space):
            where = self.spec.where("space", *keys)
            check = partial(check_corner, keys, changes, where)
            parts.append(Part(where=where, paths=changes, check=check))
        check_parts(parts, base="")
        return list(runs.values())

    def _check(self, run: Run, where: str) -> tuple[Run, DatasetSpec]:
        return check(
            run,
            where=where,
            data_root=self.data_root,
            device=self.place.device,
            data=self.data,
            place=self.place,
        )

    def _unit(self, arm: str, run: Run, data: DatasetSpec) -> Unit:
        proxy = self.spec.budget != FULL
        return Unit(ablation=self.spec.name, arm=arm, seed=0, run=run, data=data, proxy=proxy)


def timing_key(run: Run) -> str:
    """Return a digest of what decides how fast a run is before it is trained."""
    slots = (*ARCHITECTURE, *DETECTION, *MEASUREMENT)
    choices: list[object] = [getattr(run, slot) for slot in slots]
    packages = {slot: run.packages[slot] for slot in slots if slot in run.packages}
    text = json.dumps([*choices, *([packages] if packages else [])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ap_metrics(scores: Summaries) -> dict[str, float]:
    """Return AP and AR by name, as fractions; metrics without ground truth are left out."""
    values = {name: fraction(scores, name) for name in ACCURACIES}
    return {name: float(value) for name, value in values.items() if value is not None}


def metrics_of(accuracy: Accuracy) -> dict[str, float]:
    """Return all metrics of a record by name."""
    costs = {name: getattr(accuracy, name) for name in COST_METRICS}
    numbers = {name: float(cost) for name, cost in costs.items() if cost is not None}
    return {**ap_metrics(accuracy), **numbers}


def missing_metric(spec: SweepSpec, metrics: Mapping[str, float]) -> str:
    """Return the first objective without a value, or ""."""
    return next((one.metric for one in spec.objectives if one.metric not in metrics), "")
