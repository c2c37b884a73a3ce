"""The results of a work directory as pandas data frames, for notebooks and other programs.

    from yolact_bench.results.frames import Results

    results = Results("work", "nms")
    results.accuracy().groupby("arm")["mask_ap"].mean()

Accuracies and differences are in percentage points and times in milliseconds, as in the reports.

One file: all frames are of the same runs, under the same names.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from yolact_bench.errors import SpecError
from yolact_bench.escape import csv_cell
from yolact_bench.evaluation import evaluation_text
from yolact_bench.results import manifest as manifests
from yolact_bench.results.contrasts import contrasts
from yolact_bench.results.files import atomic_path
from yolact_bench.results.metrics import in_points, points
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.results.resamples import stored_resamples
from yolact_bench.results.sessions import Session, read_sessions
from yolact_bench.results.store import open_store
from yolact_bench.spec.accuracies import ACCURACIES
from yolact_bench.statistics.matches import IOU_THRESHOLDS
from yolact_bench.work_names import REPORTS, RESAMPLES, inside

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet")
_RECORDED = (
    *("parameters", "macs", "iterations", "train_seconds", "proxy", "dataset", "num_images"),
    *("train_digest", "forward_digest", "detect_digest"),
)
_Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Run:
    """An arm with one seed, and the digest under which its results are stored."""

    ablation: str
    arm: str
    seed: int
    detect_digest: str

    @property
    def names(self) -> _Row:
        return {"ablation": self.ablation, "arm": self.arm, "seed": self.seed}


class Results:
    """The results of one ablation, or without a name of all records of the store."""

    def __init__(self, work_dir: Path | str, ablation: str | None = None) -> None:
        """Read the store, which may grow afterwards.

        Raises:
            SpecError: no such ablation, or a broken manifest or store.
        """
        self._work_dir = Path(work_dir)
        self._store = open_store(self._work_dir)
        self._manifest = None
        if ablation is not None:
            self._manifest = manifests.load(inside(self._work_dir / REPORTS, ablation))

    def accuracy(self) -> "pd.DataFrame":
        """Return a row for each arm and seed: every COCO metric, the cost, and where it is from."""
        return _frame(
            {
                **run.names,
                **{metric: points(record, metric) for metric in ACCURACIES},
                **_by_iou(record),
                **{name: getattr(record, name) for name in _RECORDED},
                "evaluation": evaluation_text(record.evaluation),
                "commit": record.environment.commit,
                "device": record.environment.device,
                "time": record.time,
            }
            for run, record in self._accuracies()
        )

    def per_class(self) -> "pd.DataFrame":
        """Return a row for each arm, seed, class, and kind of AP: mask or box."""
        return _frame(
            {**run.names, "kind": kind, "class": name, "ap": in_points(ap)}
            for run, record in self._accuracies()
            for kind, summary in (("mask", record.mask), ("box", record.box))
            for name, ap in summary.ap_by_class.items()
        )

    def latency(self) -> "pd.DataFrame":
        """Return a row for each timed call of every session.

        `invalid` is why the session does not count, or "". Times that other programs report of
        themselves are left out.
        """
        runs = self._runs()
        return _frame(
            {**run.names, **_facts(session, record), "sample": sample, "image_id": image, "ms": ms}
            for session in read_sessions(self._store, [run.detect_digest for run in runs])
            for run in runs
            if (record := session.records.get(run.detect_digest)) is not None
            for sample, (ms, image) in enumerate(_calls(record))
        )

    def errors(self) -> "pd.DataFrame":
        """Return a row for each arm, seed and type of error: AP50 gained without it.

        `kind` is mask, box, or oracle: mask AP with one part perfect. The rows "ap50" and "none"
        hold the AP as it is.
        """
        return _frame(
            {**run.names, "kind": kind, "type": name, "ap": in_points(value)}
            for run in self._runs()
            if (e := self._store.errors(run.detect_digest)) is not None
            for kind, part in (("mask", e.mask), ("box", e.box), ("oracle", e.oracles))
            for name, value in part.items()
        )

    def differences(self) -> "pd.DataFrame":
        """Return a row for each metric and arm against the baseline, as the report's table has it.

        Raises:
            SpecError: no ablation was named, so there is no baseline.
        """
        if self._manifest is None:
            raise SpecError(
                "differences need a baseline: write Results(work, 'name of an ablation')"
            )
        plan = self._manifest
        accuracies = {run.detect_digest: record for run, record in self._accuracies()}
        resamples = stored_resamples(self._work_dir / RESAMPLES, accuracies)
        compared = contrasts(plan, accuracies, resamples)
        return _frame(
            {
                "ablation": plan.name,
                **c.row(plan.baseline),
                "is_testable": c.testable,
                "is_real": c.is_real,
            }
            for c in compared.by_key.values()
        )

    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Return all frames by name; without an ablation those that need no baseline."""
        tables = {
            "accuracy": self.accuracy(),
            "per_class": self.per_class(),
            "latency": self.latency(),
            "errors": self.errors(),
        }
        return tables if self._manifest is None else {**tables, "differences": self.differences()}

    def _runs(self) -> list[_Run]:
        if (plan := self._manifest) is not None:
            return [_Run(plan.name, run.arm, run.seed, run.detect_digest) for run in plan.runs]
        records = self._store.records()
        # The last record of a digest names it: arms may be renamed.
        runs = {r.detect_digest: _Run(r.ablation, r.arm, r.seed, r.detect_digest) for r in records}
        return list(runs.values())

    def _accuracies(self) -> Iterator[tuple[_Run, Accuracy]]:
        for run in self._runs():
            if (record := self._store.accuracy(run.detect_digest)) is not None:
                yield run, record


def export(results: Results, folder: Path, *, file_format: str) -> tuple[Path, ...]:
    """Write each frame to a file in `folder`, whole or not at all; return the paths.

    Raises:
        SpecError: an unknown format, or Parquet without the package that writes it.
    """
    if file_format not in FORMATS:
        raise SpecError(f"--format: no format is named {file_format!r}; available: csv, parquet")
    if file_format == "parquet" and find_spec("pyarrow") is None:
        raise SpecError(
            "--format parquet needs pyarrow; run pip install 'yolact-bench[parquet]', "
            "or write --format csv"
        )
    paths = []
    for name, frame in results.tables().items():
        path = folder / f"{name}.{file_format}"
        with atomic_path(path) as temporary:
            if file_format == "csv":
                _harmless(frame).to_csv(temporary, index=False)
            else:
                frame.to_parquet(temporary, index=False)
        paths.append(path)
    return tuple(paths)


def _frame(rows: Iterator[_Row]) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    # A column of None alone would have no type, and no mean.
    return frame.astype(dict.fromkeys(frame.columns[frame.isna().all()], float))


def _harmless(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with texts that no spreadsheet runs."""
    words = frame.select_dtypes(exclude=["number", "bool"])
    return frame.assign(**{str(name): words[name].map(csv_cell) for name in words})


def _by_iou(record: Accuracy) -> _Row:
    pairs = zip(IOU_THRESHOLDS, record.mask.ap_by_iou, strict=True)
    return {f"mask_ap_iou_{iou:.2f}": in_points(ap) for iou, ap in pairs}


def _facts(session: Session, record: Latency) -> _Row:
    return {
        "session": session.name,
        "scenario": session.kind.scenario,
        "protocol": session.kind.version,
        "batch_size": session.kind.batch_size,
        "load": session.kind.load,
        "precision": record.precision,
        "timer": record.timer,
        "device": record.environment.device,
        "invalid": session.invalid,
    }


def _calls(record: Latency) -> Iterator[tuple[float, int | None]]:
    """Yield time and image of each call."""
    return itertools.zip_longest(record.samples_ms, record.image_ids[: len(record.samples_ms)])
