"""An ablation as one side of a comparison, and which arms of two sides belong together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reports.summary.sessions import session_rows
from reports.summary.timings import SessionRow
from yolact_bench.results import manifest as manifests
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.results.store import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One ablation with its records."""

    manifest: Manifest
    runs: Mapping[str, Mapping[int, PlannedRun]]  # arm, in table order → seed → run
    accuracies: Mapping[str, Accuracy]  # by detect digest
    failures: Mapping[str, Sequence[Failure]]
    sessions: tuple[SessionRow, ...]  # one of each scenario, batch size and load


def read_side(work_dir: Path, folder: Path) -> Side:
    """Return the manifest in `folder`, and the latest records of its ablation.

    Raises:
        SpecError: a manifest or a store that cannot be read.
    """
    manifest = manifests.load(folder)
    store = open_store(work_dir)
    digests = list(dict.fromkeys(run.detect_digest for run in manifest.runs))
    accuracies = {digest: store.accuracy(digest) for digest in digests}
    runs: dict[str, dict[int, PlannedRun]] = {}
    for run in manifest.runs:
        runs.setdefault(run.arm, {})[run.seed] = run
    return Side(
        manifest=manifest,
        runs=runs,
        accuracies={digest: record for digest, record in accuracies.items() if record is not None},
        failures=store.failures_by_run(digests, manifest.measure),
        sessions=session_rows(store, manifest.arms_by_seed, manifest.baseline),
    )


def paired_arms(a: Side, b: Side) -> dict[str, str]:
    """Return arm of A → arm of B: equal digests and name, then equal digests, then the name."""
    left, right = (
        {arm: {run.detect_digest for run in runs.values()} for arm, runs in side.runs.items()}
        for side in (a, b)
    )
    rules: tuple[Callable[[str, str], bool], ...] = (
        lambda x, y: x == y and bool(left[x] & right[y]),
        lambda x, y: bool(left[x] & right[y]),
        lambda x, y: x == y,
    )
    pairs: dict[str, str] = {}
    for rule in rules:
        for x, y in product(left, right):
            if x not in pairs and y not in pairs.values() and rule(x, y):
                pairs[x] = y
    return {x: pairs[x] for x in left if x in pairs}
