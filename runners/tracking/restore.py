"""The events of an ablation without a journal, from what its work directory still knows.

Records, manifest and the logs beside the checkpoints hold all but three things: the text of the
spec, when each point of a curve was logged (reckoned from the seconds trained), and which of
several executions did what (they become one).
"""

import datetime
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from runners.tracking.events import Artifacts, Event, Finished, Phase, Points
from runners.tracking.from_records import (
    accuracy_event,
    arm_event,
    failure_event,
    latency_event,
    started_event,
)
from runners.tracking.metrics import curve_metrics
from runners.tracking.tags import word
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Environment, Failure
from yolact_bench.results.sessions import latest_session, read_sessions
from yolact_bench.results.store import Store


def restored_events(manifest: Manifest, store: Store, work_dir: Path) -> list[Event]:
    """Return what an execution of the manifest would have told, in order; [] without a record."""
    found = _Found(manifest, store, work_dir)
    if not found.records:
        return []
    times = [_ms(record.time) for record in found.records.values()]
    env = next(iter(found.records.values())).environment
    started = started_event(
        manifest,
        {"spec": _spec_name(manifest), **_tags(env)},
        time_ms=min(times),
        execution=_key(manifest),
        spec_text="",
    )
    report = Path("reports") / manifest.name
    complete = len(found.records) == len(manifest.runs)
    return [
        started,
        *(event for planned in manifest.runs for event in found.of_arm(planned)),
        *found.latencies(),
        Finished(time_ms=max(times), status="FINISHED" if complete else "KILLED"),
        Artifacts(time_ms=max(times), folder=str(report)),
    ]


class _Found:
    """What the work directory holds of the runs of a manifest."""

    def __init__(self, manifest: Manifest, store: Store, work_dir: Path) -> None:
        self.manifest, self.store, self.work_dir = manifest, store, work_dir
        digests = [planned.detect_digest for planned in manifest.runs]
        failures = {failure.detect_digest: failure for failure in store.failures(digests)}
        self.records: dict[tuple[str, int], Accuracy | Failure] = {}
        for planned in manifest.runs:
            record = store.accuracy(planned.detect_digest) or failures.get(planned.detect_digest)
            if record is not None:
                self.records[planned.arm, planned.seed] = record
        self._curves_told: set[str] = set()

    def of_arm(self, planned: PlannedRun) -> Iterator[Event]:
        """Yield turn, curves and result of one arm with one seed."""
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
            self._curves_told.add(planned.train_digest)
            yield from self._curves(planned, begin)
        if isinstance(record, Accuracy):
            event = accuracy_event(record, time_ms=end)
            yield Points(
                time_ms=end,
                arm=planned.arm,
                seed=planned.seed,
                step=0,
                values=event.values,
                proxy=event.proxy,
            )
        else:
            yield failure_event(record, time_ms=end)

    def latencies(self) -> Iterator[Event]:
        """Yield the milliseconds of the latest session of each scenario that has all timed arms."""
        timed = [p for p in self.manifest.runs if p.seed == self.manifest.seeds[0]]
        digests = [p.detect_digest for p in timed if (p.arm, p.seed) in self.records]
        if "latency" not in self.manifest.measure:
            return
        scenarios = [session.kind.scenario for session in read_sessions(self.store, digests)]
        for scenario in dict.fromkeys(scenarios):
            session = latest_session(self.store, digests, scenario)
            times = session.records if session is not None else {}
            for planned in timed:
                if planned.detect_digest in times:
                    latency = times[planned.detect_digest]
                    mine = replace(latency, arm=planned.arm, seed=planned.seed)
                    yield latency_event(mine, time_ms=_ms(latency.time))

    def _phase(self, planned: PlannedRun, record: Accuracy | Failure) -> Phase:
        own = (record.ablation, record.arm, record.seed) == (
            self.manifest.name,
            planned.arm,
            planned.seed,
        )
        if not own:
            return "reuse"
        if planned.train_digest in self._curves_told or not self._log(planned).is_file():
            return "evaluate"
        return "train+evaluate"

    def _curves(self, planned: PlannedRun, begin: int) -> Iterator[Points]:
        seconds = 0.0
        for line in self._log(planned).read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                step, values = curve_metrics(entry)
                seconds = float(entry.get("seconds", seconds))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # torn by an interruption; what it said was trained again
            time_ms = begin + round(1000 * seconds)
            yield Points(
                time_ms=time_ms, arm=planned.arm, seed=planned.seed, step=step, values=values
            )

    def _log(self, planned: PlannedRun) -> Path:
        return self.work_dir / "checkpoints" / planned.train_digest / "log.jsonl"


def _tags(env: Environment) -> dict[str, str]:
    return {"git_commit": env.commit, "dirty": word(env.dirty), "device": env.device}


def _spec_name(manifest: Manifest) -> str:
    """Return the name of the file that was run."""
    words = manifest.command.split()
    return next((Path(w).name for w in words if w.endswith((".yaml", ".yml"))), manifest.name)


def _key(manifest: Manifest) -> str:
    """Return a name for this execution that is the same the next time."""
    facts = [manifest.name, *(planned.detect_digest for planned in manifest.runs)]
    return "restored-" + hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _ms(time: str) -> int:
    return round(1000 * datetime.datetime.fromisoformat(time).timestamp())
