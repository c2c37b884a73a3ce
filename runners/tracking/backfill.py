"""What MLflow missed is told again: journals of executions, or else the records themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.tracking.events import Artifacts, Event, Finished, Started
from runners.tracking.journal import FOLDER, held, journals, read_events
from runners.tracking.restore import restored_events
from runners.tracking.writer import Writer, first_line, store_uri
from yolact_bench.errors import SpecError
from yolact_bench.results.manifest import FILE_NAME, load
from yolact_bench.results.store import open_store
from yolact_bench.slots import hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """What a backfill did for one execution."""

    ablation: str
    execution: str
    running: bool  # its process is alive and tells MLflow itself; nothing was done
    runs: int  # made now
    points: int  # of metrics, added now


def backfill(work_dir: Path, name: str | None = None) -> list[Backfilled]:
    """Bring MLflow to what the work directory knows; a second time changes nothing.

    Raises:
        SpecError: no such ablation in the work directory, or MLflow cannot be written.
    """
    found = []
    for ablation in _ablations(work_dir, name):
        paths = journals(work_dir, ablation)
        found += [_from_journal(work_dir, path, last=path == paths[-1]) for path in paths]
        if not paths:
            found += _from_records(work_dir, ablation)
    return found


def _ablations(work_dir: Path, name: str | None) -> list[str]:
    executed = {path.parent.name for path in (work_dir / FOLDER).glob("*/*.jsonl")}
    planned = {path.parent.name for path in (work_dir / "reports").glob(f"*/{FILE_NAME}")}
    known = sorted(executed | planned)
    if not known:
        raise SpecError(f"{work_dir}: no ablation has been run here; --work-dir names another")
    if name is None:
        return known
    if name not in known:
        raise SpecError(
            f"{work_dir}: no ablation {name!r} has been run here{hint(name, dict.fromkeys(known))}"
        )
    return [name]


def _from_journal(work_dir: Path, path: Path, *, last: bool) -> Backfilled:
    """Repeat a journal, unless its process is still alive."""
    execution = path.stem.partition("-")[2]
    with held(path) as ours:
        if not ours:
            return Backfilled(
                ablation=path.parent.name, execution=execution, running=True, runs=0, points=0
            )
        events = [event for event, _ in read_events(path)]
        # A later execution has written its report over this one's.
        kept = [event for event in events if last or not isinstance(event, Artifacts)]
        return _told(work_dir, path.parent.name, execution, tuple(_ended(kept)))


def _from_records(work_dir: Path, ablation: str) -> list[Backfilled]:
    file = work_dir / "reports" / ablation / FILE_NAME
    with held(file) as ours:
        store = open_store(work_dir)
        events = restored_events(load(file), store, work_dir) if ours else []
        if not events:
            return []
        assert isinstance(events[0], Started), "an execution begins with Started"
        return [_told(work_dir, ablation, events[0].execution, events)]


def _ended(events: Sequence[Event]) -> Iterator[Event]:
    """Add the end to an execution whose process was killed before it could say so."""
    yield from events
    if events and not any(isinstance(event, Finished) for event in events):
        yield Finished(time_ms=max(event.time_ms for event in events), status="KILLED")


def _told(work_dir: Path, ablation: str, execution: str, events: Sequence[Event]) -> Backfilled:
    try:
        writer = Writer(work_dir)
        for event in events:
            writer.apply(event)
            writer.flush(late_only=True)
        writer.flush()
    except Exception as error:  # of MLflow, its database or its server: theirs to name
        raise SpecError(
            f"{store_uri(work_dir)}: MLflow cannot be written ({type(error).__name__}: "
            f"{first_line(error)}); start its server, or set MLFLOW_TRACKING_URI, and try again"
        ) from error
    return Backfilled(
        ablation=ablation,
        execution=execution,
        running=False,
        runs=writer.runs_made,
        points=writer.points_sent,
    )
