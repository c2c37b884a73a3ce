"""Manifest, records and training logs to typed rows: one per arm, with everything a page prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.summary.arm_rows import ArmRow, arm_row
from reports.summary.caveats import caveats
from reports.summary.curves import Curve, read_curve
from reports.summary.paper import PaperGroup, paper_group
from reports.summary.sessions import session_rows
from reports.summary.timings import SessionRow
from yolact_bench.results.contrasts import Contrasts, contrasts
from yolact_bench.results.expect import Outcome, evaluate_expectation
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Accuracy, Environment, Errors, Failure
from yolact_bench.results.resamples import stored_resamples
from yolact_bench.results.store import Store
from yolact_bench.spec.budget_names import FULL
from yolact_bench.work_names import CHECKPOINTS, LOG, RESAMPLES

_OF_TIMING = {"latency_ms": "median_ms", "latency_p90_ms": "p90_ms", "fps": "fps"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One training and the arms that use its checkpoint."""

    label: str
    accuracy: Accuracy  # of the first of these arms


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An ablation, ready to be printed."""

    manifest: Manifest
    rows: tuple[ArmRow, ...]
    contrasts: Contrasts
    errors: Mapping[str, Errors]  # by detect digest, of the runs that were analysed
    trainings: tuple[TrainingRow, ...]
    curves: tuple[Curve, ...]
    session: SessionRow | None  # the first of `sessions`: its times stand beside accuracies
    sessions: tuple[SessionRow, ...]  # one for each scenario, batch size and load
    paper: PaperGroup | None
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    environments: tuple[Environment, ...]  # different ones, of accuracies then latencies
    datasets: tuple[str, ...]  # name and number of images, as evaluated

    @property
    def proxy(self) -> str | None:
        """The budget, if it stands in for the one that the spec asks for."""
        return None if self.manifest.budget == FULL else self.manifest.budget


def summarise(manifest: Manifest, store: Store, work_dir: Path) -> Summary:
    """Return the rows of the ablation; the same records always give the same rows."""
    planned = {run.arm for run in manifest.runs}
    arms = [arm for arm in manifest.arm_changes if arm in planned]
    digests = list(dict.fromkeys(run.detect_digest for run in manifest.runs))
    records = {digest: store.accuracy(digest) for digest in digests}
    accuracies = {digest: a for digest, a in records.items() if a is not None}
    failures = store.failures(digests, measure=manifest.measure)
    is_timed = "latency" in manifest.measure
    sessions = session_rows(store, manifest.arms_by_seed, manifest.baseline) if is_timed else ()
    session = sessions[0] if sessions else None
    rows = tuple(arm_row(arm, manifest, accuracies, failures, session) for arm in arms)
    labels = _training_labels(manifest)
    trained = {a.train_digest: a for a in reversed(accuracies.values())}
    environments = [a.environment for a in accuracies.values()]
    environments += [s.environment for s in sessions]
    return Summary(
        manifest=manifest,
        rows=rows,
        contrasts=contrasts(
            manifest, accuracies, stored_resamples(work_dir / RESAMPLES, accuracies)
        ),
        errors={digest: e for digest in digests if (e := store.errors(digest)) is not None},
        trainings=tuple(
            TrainingRow(label=label, accuracy=trained[digest])
            for digest, label in labels.items()
            if digest in trained
        ),
        curves=_curves(labels, work_dir / CHECKPOINTS),
        session=session,
        sessions=sessions,
        paper=paper_group(manifest.paper) if manifest.paper else None,
        outcomes=_outcomes(manifest, rows),
        failures=failures,
        warnings=caveats(manifest, list(accuracies.values()), sessions),
        environments=tuple(e for i, e in enumerate(environments) if e not in environments[:i]),
        datasets=tuple(
            dict.fromkeys(f"{a.dataset}, {a.num_images} images" for a in accuracies.values())
        ),
    )


def _curves(labels: Mapping[str, str], checkpoints: Path) -> tuple[Curve, ...]:
    files = {checkpoints / digest / LOG: label for digest, label in labels.items()}
    curves = (read_curve(file, label=label) for file, label in files.items())
    return tuple(curve for curve in curves if curve is not None)


def _training_labels(manifest: Manifest) -> dict[str, str]:
    """Training → the arms that use it, in the order of the manifest."""
    users: dict[str, list[str]] = {}
    seeds: dict[str, int] = {}
    for run in (planned for planned in manifest.runs if not planned.is_external):
        users.setdefault(run.train_digest, []).append(run.arm)
        seeds[run.train_digest] = run.seed
    several = len(manifest.seeds) > 1
    return {
        digest: ", ".join(dict.fromkeys(arms)) + (f" (seed {seeds[digest]})" if several else "")
        for digest, arms in users.items()
    }


def _outcomes(manifest: Manifest, rows: Sequence[ArmRow]) -> tuple[Outcome, ...]:
    by_arm = {row.arm: row for row in rows}

    def value_of(quantity: str, arm: str) -> float | None:
        row = by_arm[arm]
        if quantity == "parameters":
            return row.parameters
        if quantity in _OF_TIMING:
            return getattr(row.timing, _OF_TIMING[quantity], None)
        value = row.metrics[quantity]
        return None if value is None else value.mean

    return tuple(evaluate_expectation(text, list(by_arm), value_of) for text in manifest.expect)
