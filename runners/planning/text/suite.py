"""A suite, what its parts share, and its simulated schedules: as lines and as plain data."""

from collections.abc import Sequence
from textwrap import wrap

from runners.planning.arm_checks import side_effects_of
from runners.planning.simulation import ScalingStudy
from runners.planning.suite import Member
from runners.planning.suite_cost import SuiteCost
from runners.planning.text.scaling import scaling_facts, scaling_lines
from yolact_bench.errors import word_list
from yolact_bench.spec.budget_names import BUDGETS, FULL
from yolact_bench.text import HOUR, align, count, device_hours

_HEADS = ("ablation", "arms×seeds", "own trainings", "new ones", "own passes", "new device-hours")
_SHOWN = 3  # names of a long list
_WIDTH = 100  # of lines of text, in characters


def suite_lines(
    cost: SuiteCost, studies: Sequence[ScalingStudy], *, price: float | None
) -> list[str]:
    """Return what is shared, what it costs and how long it takes at which scale."""
    members = cost.suite.members
    datasets = dict.fromkeys(member.ablation.dataset for member in members)
    lines = [f"suite of {count(len(members), 'ablation')} ({', '.join(datasets)})"]
    rows = [
        (
            member.ablation.name,
            str(len(member.units)),
            str(len(member.trainings)),
            str(len(cost.suite.new_trainings(member))),
            str(len(member.passes)),
            device_hours(cost.added_by(member)),
        )
        for member in members
    ]
    sums = (
        "together",
        str(len(cost.suite.units)),
        str(sum(len(member.trainings) for member in members)),
        str(len(cost.train_seconds)),
        str(sum(len(member.passes) for member in members)),
        device_hours(cost.shared),
    )
    lines += align([_HEADS, *rows, sums], left=(0,))
    lines += [line for member in members for line in _side_effects(member)]
    lines += [*_notes(cost), *_unknown_notes(cost), *_sharing_lines(cost)]
    if price is not None and cost.shared is not None:
        lines.append(f"price: {cost.shared / HOUR * price:,.0f} at {price:g} per device-hour")
    return lines + [line for study in studies for line in scaling_lines(study)]


def suite_facts(
    cost: SuiteCost, studies: Sequence[ScalingStudy], *, price: float | None
) -> dict[str, object]:
    """Return the same as plain data; times in device-seconds, null where unknown."""
    suite, shared = cost.suite, cost.shared
    return {
        "ablations": [
            {
                "name": member.ablation.name,
                "dataset": member.ablation.dataset,
                "units": len(member.units),
                "trainings": len(member.trainings),
                "new_trainings": len(suite.new_trainings(member)),
                "forward_passes": len(member.passes),
                "new_device_seconds": cost.added_by(member),
            }
            for member in suite.members
        ],
        "left_out": list(suite.left_out),
        "absent_data": list(suite.absent),
        "trainings": len(cost.train_seconds),
        "trained": len(suite.trained),
        "rates": list(cost.sources),
        "unknown_rates": list(cost.unknown),
        "evaluation_counted": cost.counts_evaluation,
        "device_seconds": {
            "unshared": cost.unshared,
            "shared_within": cost.shared_within,
            "shared": shared,
        },
        "price": None if price is None or shared is None else shared / HOUR * price,
        "schedules": [scaling_facts(study) for study in studies],
    }


def _side_effects(member: Member) -> list[str]:
    runs = {unit.arm: unit.run for unit in member.units}
    lines = [f"{member.ablation.name}, {one}" for one in side_effects_of(member.ablation, runs)]
    return [part for line in lines for part in wrap(line, _WIDTH, subsequent_indent="  ")]


def _notes(cost: SuiteCost) -> list[str]:
    suite = cost.suite
    notes = []
    budgets = {member.ablation.budget for member in suite.members} - {FULL}
    notes += [f"budget {name}: {BUDGETS[name].warning}" for name in budgets]
    if suite.left_out:
        notes.append(f"left out, synthetic data: {', '.join(suite.left_out)}")
    external = [row.name for member in suite.members for row in member.ablation.external]
    if external:
        notes.append(f"not counted, rows of other frameworks: {', '.join(external)}")
    if suite.absent:
        absent = ", ".join(suite.absent)
        notes.append(f"not on this machine: {absent}; finished work on them is not recognised")
    if suite.trained:
        notes.append(f"{count(len(suite.trained), 'training')} of these exist here already")
    notes += [f"training: {source}" for source in cost.sources[:_SHOWN]]
    if len(cost.sources) > _SHOWN:
        notes.append(f"training: and {len(cost.sources) - _SHOWN} more rates; --json has all")
    return notes


def _unknown_notes(cost: SuiteCost) -> list[str]:
    notes = []
    if cost.unknown:
        notes += [
            f"rate of training unknown: {word_list(cost.unknown, most=_SHOWN)}",
            "  give --images-per-second 50, or one of a preset (yolact_r101=45), or measure here "
            "with --budget short",
        ]
    if not cost.counts_evaluation:
        notes += [
            f"rate of evaluation unknown: {word_list(cost.unknown_evaluations, most=_SHOWN)}",
            "  not counted; give --evaluation-images-per-second",
        ]
    return notes


def _sharing_lines(cost: SuiteCost) -> list[str]:
    within = sum(len(member.trainings) for member in cost.suite.members)
    rows = [("shared", "trainings", "device-hours", "saved", "")]
    for name, number, seconds in (
        ("nothing", len(cost.suite.units), cost.unshared),
        ("within each ablation", within, cost.shared_within),
        ("across all of them", len(cost.train_seconds), cost.shared),
    ):
        whole = cost.unshared
        saved = None if whole is None or seconds is None else whole - seconds
        part = f"{saved / whole:.1%}" if whole and saved is not None else ""
        rows.append((name, str(number), device_hours(seconds), device_hours(saved), part))
    return align(rows, left=(0,))
