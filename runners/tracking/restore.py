"""The events of an ablation without a journal, from what its work directory still knows.

Records, manifest and the logs beside the checkpoints hold all but three things: the text of the
spec, when each point of a curve was logged (estimated from the seconds trained), and which of
several executions did what (they become one).
"""

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from runners.tracking.events import Artifacts, Event, ExecutionEnd, Phase, Points
from runners.tracking.records import arm_event, result_event, started_event
from runners.tracking.tags import environment_tags
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Failure
from yolact_bench.results.sessions import latest_session, read_sessions
from yolact_bench.results.store import Store
from yolact_bench.training_log import amount_in, entry_points, read_log
from yolact_bench.work_names import CHECKPOINTS, LOG, REPORTS, inside


def restored_events(manifest: Manifest, store: Store, work_dir: Path) -> list[Event]:
    """Return the events of an execution of the manifest, in order; [] without a record."""
    source = _WorkDirectory(manifest, store, work_dir)
    records = source.records.values()
    if not records:
        return []
    times = [_ms(record.time) for record in records]
    specs = [word for word in manifest.command.split() if word.endswith((".yaml", ".yml"))]
    spec = Path(specs[0]).name if specs else manifest.name
    facts = [manifest.name, *(planned.detect_digest for planned in manifest.runs)]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    started = started_event(
        manifest,
        {"spec": spec, **environment_tags(next(iter(records)).environment)},
        time_ms=min(times),
        execution=f"restored-{key}",  # the same the next time
        spec_text="",
    )
    complete = len(records) == len(manifest.runs)
    return [
        started,
        *(event for planned in manifest.runs for event in source.arm_events(planned)),
        *source.latency_events(),
        ExecutionEnd(time_ms=max(times), status="FINISHED" if complete else "KILLED"),
        Artifacts(time_ms=max(times), folder=str(inside(Path(REPORTS), manifest.name))),
    ]


class _WorkDirectory:
    """What the work directory holds of the runs of a manifest."""

    def __init__(self, manifest: Manifest, store: Store, work_dir: Path) -> None:
        self.manifest, self.store, self.work_dir = manifest, store, work_dir
        digests = [planned.detect_digest for planned in manifest.runs]
        failures = {one.detect_digest: one for one in store.failures(digests, measure=())}
        self._not_timed = {d for d in digests if store.has_failed(d, ["latency"])}
        self.records: dict[tuple[str, int], Accuracy | Failure] = {}
        for planned in manifest.runs:
            record = store.accuracy(planned.detect_digest) or failures.get(planned.detect_digest)
            if record is not None:
                self.records[planned.arm, planned.seed] = record
        self._restored_curves: set[str] = set()  # by training

    def arm_events(self, planned: PlannedRun) -> Iterator[Event]:
        """Yield beginning, curves and result of one arm with one seed."""
        record = self.records.get((planned.arm, planned.seed))
        if record is None:
            return
        phase = self._phase(planned, record)
        end = _ms(record.time)
        trained = phase == "train+evaluate"
        seconds = record.train_seconds if trained and isinstance(record, Accuracy) else 0.0
        begin = end - round(1000 * seconds)
        yield arm_event(planned, phase, time_ms=begin)
        if trained:
            self._restored_curves.add(planned.train_digest)
            yield from self._curves(planned, begin)
        if isinstance(record, Accuracy):
            record = replace(record, arm=planned.arm, seed=planned.seed)
        yield result_event(record, time_ms=end)

    def latency_events(self) -> Iterator[Event]:
        """Yield the milliseconds of the latest session of each scenario that has all timed arms."""
        if "latency" not in self.manifest.measure:
            return
        timed = [planned for planned in self.manifest.runs if self._is_timed(planned)]
        digests = [planned.detect_digest for planned in timed]
        scenarios = [session.kind.scenario for session in read_sessions(self.store, digests)]
        for scenario in dict.fromkeys(scenarios):
            session = latest_session(self.store, digests, scenario)
            if session is None:
                continue
            times = {one.arm: session.records[one.detect_digest] for one in timed}
            reference = times.get(self.manifest.baseline)
            for arm, latency in times.items():
                seed = self.manifest.seeds[0]
                own = replace(latency, arm=arm, seed=seed, invalid=session.invalid)
                yield result_event(own, time_ms=_ms(latency.time), reference=reference)

    def _is_timed(self, planned: PlannedRun) -> bool:
        """Whether the arm was in the sessions: no external row, and nothing that failed."""
        return (
            planned.seed == self.manifest.seeds[0]
            and not planned.is_external
            and isinstance(self.records.get((planned.arm, planned.seed)), Accuracy)
            and planned.detect_digest not in self._not_timed
        )

    def _phase(self, planned: PlannedRun, record: Accuracy | Failure) -> Phase:
        arm = self.manifest.name, planned.arm, planned.seed
        if (record.ablation, record.arm, record.seed) != arm:
            return "reuse"
        if planned.train_digest in self._restored_curves or not self._log(planned).is_file():
            return "evaluate"
        return "train+evaluate"

    def _curves(self, planned: PlannedRun, begin: int) -> Iterator[Points]:
        seconds = 0.0
        for entry in read_log(self._log(planned)):
            if (points := entry_points(entry)) is None:
                continue
            seconds = amount_in(entry, "seconds") or seconds
            step, values = points
            time_ms = begin + round(1000 * seconds)
            yield Points(
                time_ms=time_ms, arm=planned.arm, seed=planned.seed, step=step, values=values
            )

    def _log(self, planned: PlannedRun) -> Path:
        return self.work_dir / CHECKPOINTS / planned.train_digest / LOG


def _ms(time: str) -> int:
    return round(1000 * datetime.datetime.fromisoformat(time).timestamp())
