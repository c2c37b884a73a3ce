"""A plan and its estimate, as lines and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict

from runners.arms.external.plan import ExternalStep
from runners.planning.arm_checks import side_effects_of
from runners.planning.cost import Estimate, StepCost
from runners.planning.plan import Plan, Step
from yolact_bench.errors import word_list
from yolact_bench.spec.budget_names import BUDGETS, FULL
from yolact_bench.text import HOUR, align, count, duration, size

_ESTIMATE = (
    *("device", "train_seconds", "detect_seconds", "checkpoint_bytes", "training_bytes"),
    *("forward_bytes", "free_bytes"),
)
_SHOWN = 8  # characters of a digest: enough to see what is shared
_HEADS = ("arm, seed", "training", "forward pass", "to do", "hours")


def plan_lines(plan: Plan, cost: Estimate) -> list[str]:
    """Return the plan as text, a line a unit, and what it would cost."""
    ablation = plan.ablation
    lines = [f"{ablation.name}: {ablation.question}"]
    if ablation.budget != FULL:
        lines.append(f"budget {ablation.budget}: {BUDGETS[ablation.budget].warning}")
    rows = [_HEADS, *(_row(plan, s, c) for s, c in zip(plan.steps, cost.steps, strict=True))]
    rows += [_external_row(step) for step in plan.external]
    lines += align(rows)
    runs = {step.unit.arm: step.unit.run for step in plan.steps}
    lines += [f"  {line}" for line in side_effects_of(ablation, runs)]
    timing = "done" if plan.timed else "all arms, in one session"
    if plan.why_timed_again:
        timing += f" again (of the one before: {plan.why_timed_again})"
    parts = [
        count(plan.trainings, "training"),
        count(len(plan.passes), "forward pass", "forward passes"),
        count(plan.evaluations, "evaluation"),
    ]
    waiting = sum(step.is_missing for step in plan.external)
    if waiting:
        parts.append(count(waiting, "row of another framework", "rows of other frameworks"))
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
        "why_timed_again": plan.why_timed_again,
        "estimate": {name: getattr(cost, name) for name in _ESTIMATE},
        "units": [_unit_facts(step, of) for step, of in zip(plan.steps, cost.steps, strict=True)],
        "external": [_external_facts(step) for step in plan.external],
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
    run, state = step.unit.run, _state(step)
    training = f"of {step.shares}" if step.shares else run.train_digest[:_SHOWN]
    forward = f"of {step.shares_forward}" if step.shares_forward else run.forward_digest[:_SHOWN]
    if state:
        return step.unit.title, training, forward, state, ""
    seconds = [cost.train_seconds, cost.detect_seconds]
    hours = "?" if None in seconds else f"{sum(s or 0.0 for s in seconds) / HOUR:.2f}"
    first = ["train"] if step.trains else []
    passes = ["forward pass"] if step.makes_pass and not step.shares_forward else []
    needs = ", ".join([*first, *passes, "detect, score"])
    return step.unit.title, training, forward, needs, hours


def _external_row(step: ExternalStep) -> tuple[str, ...]:
    runs = step.unit.runs_a_command
    needs = _state(step) or f"{'run, ' if runs else ''}score"
    return step.unit.title, f"external: {'command' if runs else 'files'}", "", needs, ""


def _state(step: Step | ExternalStep) -> str:
    """Return how a step has ended, or "" if it is still to do."""
    if step.failed:
        return f"failed ({step.failed}); --retry-failed retries it"
    return "done" if step.evaluated else ""


def _external_facts(step: ExternalStep) -> dict[str, object]:
    return {
        "arm": step.unit.arm,
        "seed": step.unit.seed,
        "origin": step.unit.external.origin,
        "detect_digest": step.unit.detect_digest,
        "evaluated": step.evaluated,
        "failed": step.failed,
    }


def _cost_lines(plan: Plan, cost: Estimate) -> list[str]:
    lines = []
    if plan.trainings:
        time = _time(plan, [step.train_seconds for step in cost.steps])
        sources = f" ({'; '.join(cost.sources)})" if cost.sources else ""
        lines.append(f"time on {cost.device}: training {time}{sources}")
        if cost.train_seconds is None:
            lines.append(
                "  no measured training rate for every arm: give --images-per-second, or measure "
                "with --budget short --only ARM"
            )
    if plan.evaluations:
        time = _time(plan, [step.detect_seconds for step in cost.steps], "at most ")
        remedy = " until arms have been timed" if cost.detect_seconds is None else ""
        lines.append(f"time on {cost.device}: evaluation (without scoring) {time}{remedy}")
    if lines:
        needed = cost.checkpoint_bytes + cost.training_bytes + cost.forward_bytes
        extra = f" (and {size(cost.training_bytes)} while one trains)" if plan.trainings else ""
        short = ": NOT ENOUGH; `yolact-bench gc` lists what can be removed"
        lines.append(
            f"disk: checkpoints {size(cost.checkpoint_bytes)}{extra}, stored forward passes about "
            f"{size(cost.forward_bytes)}; {size(cost.free_bytes)} are free"
            + (short if needed > cost.free_bytes else "")
        )
    return lines


def _time(plan: Plan, seconds: Sequence[float | None], limit: str = "") -> str:
    """Return the sum of what is known, and of which arms it is not."""
    known = sum(one for one in seconds if one is not None)
    titles = [s.unit.title for s, one in zip(plan.steps, seconds, strict=True) if one is None]
    if titles and not known:
        return "unknown"
    without = f"; that of {word_list(titles)} unknown" if titles else ""
    return f"{limit}{duration(known)}{without}"
