"""An ablation as one side of a comparison, and which arms of two sides belong together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reports.summary.sessions import session_rows
from reports.summary.timings import SessionRow
from yolact_bench.results import manifest as manifests
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Environment, Failure
from yolact_bench.results.store import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLocation:
    """Where an ablation's manifest and records are."""

    work_dir: Path
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One ablation with its records."""

    manifest: Manifest
    runs: Mapping[str, Mapping[int, PlannedRun]]  # arm → seed → run
    accuracies: Mapping[str, Accuracy]  # by detect digest
    failures: Mapping[str, Failure]
    sessions: tuple[SessionRow, ...]  # one of each scenario, batch size and load

    @property
    def arms(self) -> list[str]:
        """Names, in table order."""
        return list(self.runs)

    def environments(self) -> list[Environment]:
        """Return where its numbers come from."""
        environments = [record.environment for record in self.accuracies.values()]
        return environments + [session.environment for session in self.sessions]


def read_side(place: ReportLocation) -> Side:
    """Return the manifest and the latest records of an ablation.

    Raises:
        SpecError: a manifest or a store that cannot be read.
    """
    manifest = manifests.load(place.folder)
    store = open_store(place.work_dir)
    digests = list(dict.fromkeys(run.detect_digest for run in manifest.runs))
    accuracies = {digest: store.accuracy(digest) for digest in digests}
    runs: dict[str, dict[int, PlannedRun]] = {}
    for run in manifest.runs:
        runs.setdefault(run.arm, {})[run.seed] = run
    return Side(
        manifest=manifest,
        runs=runs,
        accuracies={digest: record for digest, record in accuracies.items() if record is not None},
        failures={failure.detect_digest: failure for failure in store.failures(digests)},
        sessions=session_rows(store, manifest.arms_by_seed, manifest.baseline),
    )


def paired_arms(a: Manifest, b: Manifest) -> dict[str, str]:
    """Return arm of A → arm of B: equal digests and name, then equal digests, then the name."""
    left, right = _digests(a), _digests(b)
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


def _digests(manifest: Manifest) -> dict[str, set[str]]:
    digests: dict[str, set[str]] = {}
    for run in manifest.runs:
        digests.setdefault(run.arm, set()).add(run.detect_digest)
    return digests
