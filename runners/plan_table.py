"""A plan and its estimate, as lines for people and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict

from runners.estimate import Estimate, StepCost
from runners.plan import Plan, Step
from yolact_bench.spec.budget import BUDGETS, FULL

_SHOWN = 8  # characters of a digest: enough to see what is shared
_HEADS = ("arm, seed", "training", "forward pass", "to do", "hours")
_HOUR = 3600.0


def plan_lines(plan: Plan, cost: Estimate) -> list[str]:
    """Return the plan as text, a line a unit, and what it would cost."""
    ablation = plan.ablation
    lines = [f"{ablation.name}: {ablation.question}"]
    if ablation.budget != FULL:
        lines.append(
            f"budget {ablation.budget}: {BUDGETS[ablation.budget]}; no result is the paper's"
        )
    rows = [_HEADS, *(_row(plan, s, c) for s, c in zip(plan.steps, cost.steps, strict=True))]
    lines += _aligned(rows)
    timing = "done" if plan.timed else "all arms, in one session"
    parts = [
        _counted(plan.trainings, "training"),
        _counted(len(plan.passes), "forward pass", "forward passes"),
        _counted(plan.evaluations, "evaluation"),
    ]
    if "latency" in ablation.measure:
        parts.append(f"latency: {timing}")
    return [*lines, f"to do: {', '.join(parts)}", *_cost_lines(plan, cost)]


def plan_facts(plan: Plan, cost: Estimate) -> dict[str, object]:
    """Return the plan and its estimate as plain data."""
    return {
        "ablation": plan.ablation.name,
        "budget": plan.ablation.budget,
        "trainings": plan.trainings,
        "forward_passes": len(plan.passes),
        "evaluations": plan.evaluations,
        "timed": plan.timed,
        "estimate": {
            "device": cost.device,
            "train_seconds": cost.train_seconds,
            "detect_seconds": cost.detect_seconds,
            "checkpoint_bytes": cost.checkpoint_bytes,
            "training_bytes": cost.training_bytes,
            "forward_bytes": cost.forward_bytes,
            "free_bytes": cost.free_bytes,
        },
        "units": [_unit_facts(step, of) for step, of in zip(plan.steps, cost.steps, strict=True)],
    }


def _unit_facts(step: Step, cost: StepCost) -> dict[str, object]:
    run = step.unit.run
    return {
        "arm": step.unit.arm,
        "seed": step.unit.seed,
        "training_seed": run.seed,
        "train_digest": run.train_digest,
        "forward_digest": run.forward_digest,
        "detect_digest": run.detect_digest,
        "trains": step.trains,
        "shares": step.shares,
        "shares_forward": step.shares_forward,
        "evaluated": step.evaluated,
        "failed": step.failed,
        **asdict(cost),
    }


def _row(plan: Plan, step: Step, cost: StepCost) -> tuple[str, ...]:
    run = step.unit.run
    training = f"of {step.shares}" if step.shares else run.train_digest[:_SHOWN]
    forward = f"of {step.shares_forward}" if step.shares_forward else run.forward_digest[:_SHOWN]
    seconds = [cost.train_seconds, cost.detect_seconds]
    if step.evaluated or step.failed:
        return step.unit.title, training, forward, _needs(step), ""
    hours = "?" if None in seconds else f"{sum(s or 0.0 for s in seconds) / _HOUR:.2f}"
    return step.unit.title, training, forward, _needs(step), hours


def _needs(step: Step) -> str:
    if step.failed:
        return f"failed before ({step.failed}); --retry-failed tries again"
    if step.evaluated:
        return "done"
    first = ["train"] if step.trains else []
    passes = [] if step.shares_forward else ["forward pass"]
    return ", ".join([*first, *passes, "detect, score"])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cost_lines(plan: Plan, cost: Estimate) -> list[str]:
    if not plan.trainings and not plan.evaluations:
        return []
    return [
        *_time_lines(plan, cost),
        f"disk: checkpoints {_size(cost.checkpoint_bytes)}"
        + (f" (and {_size(cost.training_bytes)} while one trains)" if plan.trainings else "")
        + f", stored forward passes about {_size(cost.forward_bytes)}; "
        f"{_size(cost.free_bytes)} are free"
        + (": NOT ENOUGH; `yolact-bench gc` shows what can go" if _short_of_disk(cost) else ""),
    ]


def _short_of_disk(cost: Estimate) -> bool:
    return cost.checkpoint_bytes + cost.training_bytes + cost.forward_bytes > cost.free_bytes


def _time_lines(plan: Plan, cost: Estimate) -> list[str]:
    lines = []
    if plan.trainings:
        train = cost.train_seconds
        known = f"{_time(train)} ({'; '.join(cost.sources)})" if train is not None else "unknown"
        lines.append(f"time on {cost.device}: training {known}")
    if plan.trainings and cost.train_seconds is None:
        lines.append(
            "  no record here tells how fast every arm trains: give --images-per-second, or "
            "measure with --budget short --only ARM"
        )
    if plan.evaluations:
        seconds = cost.detect_seconds
        shown = (
            "unknown until arms have been timed" if seconds is None else f"at most {_time(seconds)}"
        )
        lines.append(f"time on {cost.device}: evaluation, but its scoring, {shown}")
    return lines


def _counted(number: int, word: str, plural: str | None = None) -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"


def _time(seconds: float) -> str:
    """Return a time with the unit in which it is a handy number."""
    for unit, length in (("days", 48 * _HOUR), ("h", 1.5 * _HOUR), ("min", 90.0)):
        if seconds >= length:
            per = {"days": 24 * _HOUR, "h": _HOUR, "min": 60.0}[unit]
            return f"{seconds / per:.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
