"""What has been run in a work directory, a row for each arm and seed. Loads no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from yolact_bench.results import manifest as manifests
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.metrics import points
from yolact_bench.results.record import Accuracy, Failure, Latency
from yolact_bench.results.sessions import listed_session
from yolact_bench.results.store import Store, open_store
from yolact_bench.spec.budget_names import proxy_mark
from yolact_bench.text import align, decimal
from yolact_bench.work_names import REPORTS

_HEADS = ("arm", "seed", "mask AP", "box AP", "ms", "state", "commit", "when")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One arm with one seed, and how far it is."""

    arm: str
    seed: int
    mask_ap: float | None  # points
    box_ap: float | None
    ms: float | None  # median, of the session that the whole ablation is shown with
    state: str  # done, partly, failed or open
    detail: str  # what is missing, why it failed, or why its times do not count
    commit: str
    when: str
    train_digest: str
    detect_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rows of one ablation, or of single commands and arms that no manifest shows."""

    name: str
    about: str
    rows: tuple[RunRow, ...]


def run_lines(work_dir: Path) -> Iterator[str]:
    """Yield the runs as text, a table for each ablation: times of two never share a column."""
    groups = _groups(work_dir)
    if not groups:
        yield f"no runs in {work_dir}"
    for place, group in enumerate(groups):
        if place:
            yield ""
        yield f"{group.name}: {group.about}"
        # The detail, which may be a long message, is the last column and has no head.
        cells = [(*_HEADS, ""), *map(_cells, group.rows)]
        yield from align(cells, left=(0, 5, 6, 7, 8))


def run_facts(work_dir: Path) -> dict[str, object]:
    """Return the runs as plain data."""
    return {"ablations": [asdict(group) for group in _groups(work_dir)]}


def _groups(work_dir: Path) -> list[Group]:
    store = open_store(work_dir)
    files = manifests.FILE.in_folders_of(work_dir / REPORTS)
    shown = [manifests.load(file) for file in files]
    groups = [_ablation(manifest, store) for manifest in shown]
    listed = {run.detect_digest for manifest in shown for run in manifest.runs}
    rest = {
        (r.detect_digest, r.arm): r
        for r in store.records()
        if isinstance(r, Accuracy) and r.detect_digest not in listed
    }
    if rest:
        rows = tuple(_single(record) for record in rest.values())
        about = "evaluated alone, or by an ablation that has changed since"
        groups.append(Group(name="(others)", about=about, rows=rows))
    return groups


def _ablation(manifest: Manifest, store: Store) -> Group:
    digests = [run.detect_digest for run in manifest.runs]
    failures = store.failures_by_run(digests, manifest.measure)
    session = listed_session(store, digests)
    timed = session.records if session else {}
    rows = []
    for run in manifest.runs:
        digest = run.detect_digest
        accuracy, latency, failed = (
            store.accuracy(digest),
            timed.get(digest),
            failures.get(digest, []),
        )
        ours = bool(run.run)  # rows of other frameworks have no slots and are not timed
        is_timed = ours and "latency" in manifest.measure and run.seed == manifest.seeds[0]
        state, detail = _state(accuracy, latency, failed, is_timed=is_timed)
        if session and latency and session.invalid and not detail:
            detail = f"times do not count: {session.invalid}"
        rows.append(_row(run, run.arm, accuracy, latency, failed, state=state, detail=detail))
    on = next((f"; times on {one.environment.device}" for one in timed.values()), "")
    name = manifest.name + proxy_mark(manifest.budget)
    return Group(name=name, about=f"{manifest.question}{on}", rows=tuple(rows))


def _row(
    run: PlannedRun | Accuracy,
    arm: str,
    accuracy: Accuracy | None,
    latency: Latency | None = None,
    failed: Sequence[Failure] = (),
    *,
    state: str = "done",
    detail: str = "",
) -> RunRow:
    records = (accuracy, latency, *failed)
    newest = max((r for r in records if r), key=lambda record: record.time, default=None)
    return RunRow(
        arm=arm,
        seed=run.seed,
        mask_ap=points(accuracy, "mask_ap") if accuracy else None,
        box_ap=points(accuracy, "box_ap") if accuracy else None,
        ms=latency.median_ms if latency else None,
        state=state,
        detail=detail,
        commit=newest.environment.short_commit if newest else "",
        when=newest.time if newest else "",
        train_digest=run.train_digest,
        detect_digest=run.detect_digest,
    )


def _state(
    accuracy: Accuracy | None, latency: Latency | None, failed: Sequence[Failure], *, is_timed: bool
) -> tuple[str, str]:
    if failed:
        return "failed", "; ".join(failure.reason for failure in failed)
    if accuracy is None:
        return "open", ""
    if is_timed and latency is None:
        return "partly", "not timed"
    return "done", ""


def _single(record: Accuracy) -> RunRow:
    arm = f"{record.ablation}/{record.arm}" if record.ablation else record.arm
    return _row(record, arm, record)


def _cells(row: RunRow) -> tuple[str, ...]:
    numbers = (decimal(number, 1) for number in (row.mask_ap, row.box_ap, row.ms))
    return (row.arm, str(row.seed), *numbers, row.state, row.commit, row.when, row.detail)
