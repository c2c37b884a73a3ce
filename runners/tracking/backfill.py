"""Write to MLflow what it missed: from the journals of executions, or else from the records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.tracking.events import Artifacts, Event, ExecutionEnd, ExecutionStart
from runners.tracking.journal import FOLDER, journals, read_events, try_lock
from runners.tracking.restore import restored_events
from runners.tracking.server import store_uri
from runners.tracking.writer import Writer
from yolact_bench.errors import SpecError, first_line, hint
from yolact_bench.escape import without_passwords
from yolact_bench.results.manifest import FILE, load
from yolact_bench.results.store import open_store
from yolact_bench.work_names import REPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillResult:
    """What a backfill did for one execution."""

    ablation: str
    execution: str
    running: bool = False  # its process is alive and writes to MLflow itself: nothing was done
    runs: int = 0  # made by this backfill
    points: int = 0  # of metrics, added by this backfill


def backfill(work_dir: Path, name: str | None = None) -> list[BackfillResult]:
    """Bring MLflow to the state of the work directory; a second time changes nothing.

    Raises:
        SpecError: the work directory has no such ablation, or MLflow cannot be written.
    """
    done = []
    for ablation in _ablations(work_dir, name):
        paths = journals(work_dir, ablation)
        done += [_from_journal(work_dir, path, last=path == paths[-1]) for path in paths]
        if not paths:
            done += _from_records(work_dir, ablation)
    return done


def _ablations(work_dir: Path, name: str | None) -> list[str]:
    executed = {path.parent.name for path in (work_dir / FOLDER).glob("*/*.jsonl")}
    planned = {path.parent.name for path in FILE.in_folders_of(work_dir / REPORTS)}
    known = sorted(executed | planned)
    if not known:
        raise SpecError(f"{work_dir}: no ablation has been run here; --work-dir names another")
    if name is not None and name not in known:
        raise SpecError(
            f"{work_dir}: no ablation {name!r} has been run here{hint(name, dict.fromkeys(known))}"
        )
    return known if name is None else [name]


def _from_journal(work_dir: Path, path: Path, *, last: bool) -> BackfillResult:
    """Repeat a journal, unless its process is still alive."""
    execution = path.stem.partition("-")[2]
    with try_lock(path) as locked:
        if not locked:
            return BackfillResult(ablation=path.parent.name, execution=execution, running=True)
        events = [event for event, _ in read_events(path)]
        if not last:  # a later execution has overwritten its report
            events = [event for event in events if not isinstance(event, Artifacts)]
        if events and not any(isinstance(event, ExecutionEnd) for event in events):
            # Its process was killed before it wrote the end.
            end_ms = max(event.time_ms for event in events)
            events.append(ExecutionEnd(time_ms=end_ms, status="KILLED"))
        return _write(work_dir, path.parent.name, execution, events)


def _from_records(work_dir: Path, ablation: str) -> list[BackfillResult]:
    file = work_dir / REPORTS / ablation / FILE.name
    with try_lock(file) as locked:
        store = open_store(work_dir)
        events = restored_events(load(file), store, work_dir) if locked else []
        if not events:
            return []
        assert isinstance(events[0], ExecutionStart), "an execution begins with its start"
        return [_write(work_dir, ablation, events[0].execution, events)]


def _write(
    work_dir: Path, ablation: str, execution: str, events: Sequence[Event]
) -> BackfillResult:
    try:
        writer = Writer(work_dir)
        for event in events:
            writer.apply(event)
            writer.points.flush(late_only=True)
        writer.points.flush()
    except Exception as error:  # of MLflow, its database or its server
        text = (
            f"{store_uri(work_dir)}: MLflow cannot be written ({type(error).__name__}: "
            f"{first_line(error)}); start its server, or set MLFLOW_TRACKING_URI, and try again"
        )
        raise SpecError(without_passwords(text)) from error
    made, sent = writer.runs_made, writer.points.sent
    return BackfillResult(ablation=ablation, execution=execution, runs=made, points=sent)
