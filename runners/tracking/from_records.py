"""Manifests and records as events."""

from collections.abc import Mapping
from typing import Any

from runners.tracking.events import ArmStarted, Failed, Phase, Points, Started
from runners.tracking.metrics import accuracy_metrics, latency_metrics, latency_tags
from runners.tracking.tags import flag
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Failure, Latency


def started_event(
    manifest: Manifest, tags: Mapping[str, str], *, time_ms: int, execution: str, spec_text: str
) -> Started:
    """Return the beginning of an execution. `tags` hold at least git_commit and dirty."""
    return Started(
        time_ms=time_ms,
        execution=execution,
        ablation=manifest.name,
        question=manifest.question,
        command=manifest.command,
        baseline=manifest.baseline,
        tags={
            "spec": manifest.name,
            "budget": manifest.budget,
            "proxy": flag(manifest.budget != "full"),
            **tags,
        },
        spec_text=spec_text,
    )


def arm_event(
    source: PlannedRun | Accuracy | Latency | Failure, phase: Phase, *, time_ms: int
) -> ArmStarted:
    """Return the beginning of an arm's run, of which only a record may be known."""
    return ArmStarted(
        time_ms=time_ms,
        arm=source.arm,
        seed=source.seed,
        phase=phase,
        train_digest=source.train_digest,
        detect_digest=source.detect_digest,
        run=source.run if isinstance(source, PlannedRun) else {},
    )


def result_event(record: Accuracy | Latency | Failure, *, time_ms: int) -> Points | Failed:
    """Return an arm's AP, its milliseconds with a tag where they do not count, or its failure."""
    of: dict[str, Any] = {"time_ms": time_ms, "arm": record.arm, "seed": record.seed}
    if isinstance(record, Failure):
        return Failed(**of, kind=record.kind, message=record.message, traceback=record.traceback)
    if isinstance(record, Accuracy):
        return Points(**of, step=0, values=accuracy_metrics(record), proxy=record.proxy)
    return Points(**of, step=0, values=latency_metrics(record), tags=latency_tags(record))
