"""What the manifests and records of a work directory refer to."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from yolact_bench.errors import SpecError
from yolact_bench.results import manifest as manifests
from yolact_bench.results import sweep as sweeps
from yolact_bench.results.record import Accuracy
from yolact_bench.results.store import open_store
from yolact_bench.work_names import REPORTS, SWEEPS

# Trials that never continue. An interrupted one runs again, from its checkpoint.
_ENDED = ("pruned", "over_budget", "skipped")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Digests that manifests or records refer to."""

    trainings: frozenset[str]
    detections: frozenset[str]  # names of folders of predictions
    passes: Mapping[str, frozenset[str]]  # forward digest → detect digests not yet evaluated
    unreadable: Mapping[Path, str]  # manifests and sweeps that may refer to anything
    searched: str  # "no manifest", for messages


def find_references(work_dir: Path, *, superseded: bool) -> References:
    """Return what is referred to; with `superseded`, by manifests and by nothing else.

    Records of single commands belong to no manifest: what they refer to is always needed.

    Raises:
        SpecError: the records cannot be read.
    """
    trainings, detections = set[str](), set[str]()
    passes = defaultdict[str, set[str]](set)
    records = [r for r in open_store(work_dir).records() if isinstance(r, Accuracy)]
    evaluated = {record.detect_digest for record in records}
    for record in records:
        if not superseded or not record.ablation:
            trainings.add(record.train_digest)
            detections.update((record.detect_digest, Path(record.predictions).name))
            passes[record.forward_digest] |= set()
    unreadable: dict[Path, str] = {}
    plans = manifests.FILE.in_folders_of(work_dir / REPORTS)
    for run in (run for plan in _load(manifests.load, plans, unreadable) for run in plan.runs):
        trainings.add(run.train_digest)
        detections.add(run.detect_digest)
        passes[run.forward_digest] |= {run.detect_digest} - evaluated
    pages = sweeps.FILE.in_folders_of(work_dir / SWEEPS)
    for trial in (one for sweep in _load(sweeps.load, pages, unreadable) for one in sweep.trials):
        if trial.state not in _ENDED:
            trainings.add(trial.train_digest)
            detections.add(trial.detect_digest)
    # An arm's record may name a separate folder.
    detections.update(Path(r.predictions).name for r in records if r.detect_digest in detections)
    return References(
        trainings=frozenset(trainings),
        detections=frozenset(detections),
        passes={digest: frozenset(waiting) for digest, waiting in passes.items()},
        unreadable=unreadable,
        searched="no manifest" if superseded else "no record and no manifest",
    )


def _load(load: Callable[[Path], T], files: Sequence[Path], faults: dict[Path, str]) -> Iterator[T]:
    """Yield the content of each file; add what is wrong with the others to `faults`."""
    for file in files:
        try:
            yield load(file)
        except SpecError as error:
            faults[file] = str(error).removeprefix(f"{file}: ")
