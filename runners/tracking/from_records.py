"""Manifests and records as events."""

from collections.abc import Mapping

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


def arm_event(planned: PlannedRun, phase: Phase, *, time_ms: int) -> ArmStarted:
    """Return the beginning of an arm's run."""
    return _arm_event(planned, phase, time_ms, planned.run)


def unplanned_arm_event(
    record: Accuracy | Latency | Failure, phase: Phase, *, time_ms: int
) -> ArmStarted:
    """Return the beginning of an arm's run of which only a record is known."""
    return _arm_event(record, phase, time_ms, {})


def _arm_event(
    source: PlannedRun | Accuracy | Latency | Failure,
    phase: Phase,
    time_ms: int,
    run: Mapping[str, object],
) -> ArmStarted:
    return ArmStarted(
        time_ms=time_ms,
        arm=source.arm,
        seed=source.seed,
        phase=phase,
        train_digest=source.train_digest,
        detect_digest=source.detect_digest,
        run=run,
    )


def accuracy_event(accuracy: Accuracy, *, time_ms: int) -> Points:
    """Return an arm's AP as points."""
    return Points(
        time_ms=time_ms,
        arm=accuracy.arm,
        seed=accuracy.seed,
        step=0,
        values=accuracy_metrics(accuracy),
        proxy=accuracy.proxy,
    )


def latency_event(latency: Latency, *, time_ms: int) -> Points:
    """Return an arm's milliseconds as points, and a tag where they do not count."""
    return Points(
        time_ms=time_ms,
        arm=latency.arm,
        seed=latency.seed,
        step=0,
        values=latency_metrics(latency),
        tags=latency_tags(latency),
    )


def failure_event(failure: Failure, *, time_ms: int) -> Failed:
    """Return the end of an arm that failed."""
    return Failed(
        time_ms=time_ms,
        arm=failure.arm,
        seed=failure.seed,
        kind=failure.kind,
        message=failure.message,
        traceback=failure.traceback,
    )
