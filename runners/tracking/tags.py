"""Names and tags of runs: what a reader of MLflow's tables sees, filters and compares by."""

import time

from runners.tracking.events import ArmStart, ExecutionStart
from yolact_bench.results.record import Environment

# Without it MLflow's page asks every reader what kind of experiment this is.
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}


def run_name(event: ExecutionStart | ArmStart) -> str:
    """Return the time of an execution, or arm and seed."""
    if isinstance(event, ArmStart):
        return f"{event.arm} · seed {event.seed}"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(event.time_ms / 1000))


def environment_tags(env: Environment) -> dict[str, str]:
    """Return commit and device."""
    return {"git_commit": env.commit, "dirty": flag(env.dirty), "device": env.device}


def parent_tags(event: ExecutionStart) -> dict[str, str]:
    """Return the tags of an execution: those of all its runs, its question and its command."""
    return {
        **_shared_tags(event),
        "phase": "ablation",
        "baseline": "false",
        "mlflow.note.content": f"{event.question}\n\n    {event.command}".strip(),
    }


def child_tags(event: ExecutionStart, arm: ArmStart, *, parent: str) -> dict[str, str]:
    """Return the tags of an arm with one seed."""
    return {
        **_shared_tags(event),
        "mlflow.parentRunId": parent,
        "arm": arm.arm,
        "seed": str(arm.seed),
        "baseline": flag(arm.arm == event.baseline),
        "phase": arm.phase,
        "trained_here": flag(arm.phase == "train+evaluate"),
        "train_digest": arm.train_digest,
        "detect_digest": arm.detect_digest,
    }


def flag(value: bool) -> str:
    """Return a boolean as MLflow's filters compare it."""
    return "true" if value else "false"


def _shared_tags(event: ExecutionStart) -> dict[str, str]:
    """Return the tags of all runs of an execution, under MLflow's names as well."""
    return {
        **event.tags,
        "execution": event.execution,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": event.command,
        "mlflow.source.git.commit": event.tags["git_commit"],
    }
