"""Rows of other frameworks in a plan: which results they stand for, and which are there."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from runners.arms.external.predict import predict_external
from runners.units.unit import ExternalUnit, Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import Faults, MissingDataError, SpecError
from yolact_bench.results.store import Store
from yolact_bench.spec.external import External


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalStep:
    """One external result of a plan, and whether its record is there."""

    unit: ExternalUnit
    evaluated: bool
    failed: str | None  # the standing failure, if any

    @property
    def is_missing(self) -> bool:
        """Whether there is neither a record nor a failure that stands: `run` makes the result."""
        return not (self.evaluated or self.failed)


def adopt_files(steps: Sequence[ExternalStep], place: Workplace) -> None:
    """Take over all result files of rows that `run` scores: their mistakes must show first.

    Raises:
        SpecError: a file does not hold results of the evaluation images.
    """
    faults = Faults()
    for step in steps:
        if step.is_missing and not step.unit.runs_a_command:
            try:
                predict_external(step.unit, place)
            except SpecError as error:
                faults.add(SpecError(f"{step.unit.external.where}: {error}"))
    faults.raise_any()


def external_steps(
    rows: Sequence[External],
    *,
    baseline: Unit,
    seeds: Sequence[int],
    measure: Sequence[str],
    store: Store,
    proxy: bool,
    retry_failed: bool,
) -> tuple[ExternalStep, ...]:
    """Return the results that the rows stand for, on the baseline's evaluation images.

    A row whose spec does not say `{seed}` is one result, beside the first seed. `proxy`: the
    evaluation images are a stand-in. A shorter schedule of ours makes no proxy of it.

    Raises:
        MissingDataError: a result file or a program that is not there.
    """
    steps, faults = [], Faults()
    for row in rows:
        for seed in seeds if row.per_seed else seeds[:1]:
            missing = row.missing(seed=seed, default_python=sys.executable)
            if missing:
                remedy = "correct it, or take the row out"
                faults.add(MissingDataError(f"{row.where}: {missing}; {remedy}"))
                continue
            eval_data, evaluation = baseline.run.eval_data, baseline.run.evaluation
            unit = ExternalUnit(
                ablation=baseline.ablation,
                external=row,
                seed=seed,
                detect_digest=row.digest(seed=seed, eval_data=eval_data, evaluation=evaluation),
                data=baseline.data,
                split=baseline.split,
                eval_data=eval_data,
                proxy=proxy,
                evaluation=evaluation,
            )
            steps.append(
                ExternalStep(
                    unit=unit,
                    evaluated=store.accuracy(unit.detect_digest) is not None,
                    failed=None if retry_failed else store.why_failed(unit.detect_digest, measure),
                )
            )
    faults.raise_any()
    return tuple(steps)
