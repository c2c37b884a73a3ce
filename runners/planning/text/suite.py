"""A programme, what its parts share, and its simulated schedules: as lines and as plain data."""

from collections.abc import Sequence

from runners.planning.scaling_study import Scaled
from runners.planning.suite import Member
from runners.planning.suite_cost import Priced
from runners.planning.text.scaling import scaled_facts, scaled_lines
from runners.planning.text.words import HOUR, aligned, counted, device_hours
from yolact_bench.spec.budget import BUDGETS, FULL

_HEADS = ("ablation", "arms×seeds", "own trainings", "new ones", "own passes", "new device-hours")
_SHOWN = 3  # names of a long list


def programme_lines(priced: Priced, scaled: Sequence[Scaled], *, price: float | None) -> list[str]:
    """Return what is shared, what it costs and how long it takes at which scale."""
    programme = priced.programme
    datasets = dict.fromkeys(member.ablation.dataset for member in programme.members)
    lines = [f"programme of {counted(len(programme.members), 'ablation')} ({', '.join(datasets)})"]
    rows = [_HEADS, *(_row(priced, member) for member in programme.members), _sums(priced)]
    lines += aligned(rows, numbers=True)
    lines += _notes(priced)
    lines += _sharing_lines(priced)
    if price is not None and priced.shared is not None:
        lines.append(f"price: {priced.shared / HOUR * price:,.0f} at {price:g} per device-hour")
    for one in scaled:
        lines += scaled_lines(one)
    return lines


def programme_facts(
    priced: Priced, scaled: Sequence[Scaled], *, price: float | None
) -> dict[str, object]:
    """Return the same as plain data; times in device-seconds, null where unknown."""
    programme = priced.programme
    shared = priced.shared
    return {
        "ablations": [
            {
                "name": member.ablation.name,
                "dataset": member.ablation.dataset,
                "units": len(member.units),
                "trainings": len(member.trainings),
                "new_trainings": len(programme.new_trainings(member)),
                "forward_passes": len(member.passes),
                "new_device_seconds": priced.added_by(member),
            }
            for member in programme.members
        ],
        "left_out": list(programme.left_out),
        "absent_data": list(programme.absent),
        "trainings": len(priced.train_seconds),
        "trained": len(programme.trained),
        "rates": list(priced.sources),
        "unknown_rates": list(priced.unknown),
        "evaluation_counted": priced.counts_evaluation,
        "device_seconds": {
            "unshared": priced.unshared,
            "shared_within": priced.shared_within,
            "shared": shared,
        },
        "price": None if price is None or shared is None else shared / HOUR * price,
        "schedules": [scaled_facts(one) for one in scaled],
    }


def _row(priced: Priced, member: Member) -> tuple[str, ...]:
    programme = priced.programme
    return (
        member.ablation.name,
        str(len(member.units)),
        str(len(member.trainings)),
        str(len(programme.new_trainings(member))),
        str(len(member.passes)),
        device_hours(priced.added_by(member)),
    )


def _sums(priced: Priced) -> tuple[str, ...]:
    members = priced.programme.members
    return (
        "together",
        str(len(priced.programme.units)),
        str(sum(len(member.trainings) for member in members)),
        str(len(priced.train_seconds)),
        str(sum(len(member.passes) for member in members)),
        device_hours(priced.shared),
    )


def _notes(priced: Priced) -> list[str]:
    programme = priced.programme
    members = programme.members
    notes = []
    budgets = {member.ablation.budget for member in members} - {FULL}
    notes += [f"budget {name}: {BUDGETS[name]}; no result is the paper's" for name in budgets]
    if programme.left_out:
        notes.append(f"left out, as their data is drawn: {', '.join(programme.left_out)}")
    external = [row.name for member in members for row in member.ablation.external]
    if external:
        notes.append(f"not counted, rows of other frameworks: {', '.join(external)}")
    if programme.absent:
        notes.append(
            f"not on this machine: {', '.join(programme.absent)}; "
            "what is done already cannot be seen"
        )
    if programme.trained:
        notes.append(f"{counted(len(programme.trained), 'training')} of these are done here")
    notes += [f"training: {source}" for source in priced.sources[:_SHOWN]]
    if len(priced.sources) > _SHOWN:
        notes.append(f"training: and {len(priced.sources) - _SHOWN} more rates; --json has all")
    return notes + _unknown_notes(priced)


def _unknown_notes(priced: Priced) -> list[str]:
    notes = []
    if priced.unknown:
        others = len(priced.unknown) - _SHOWN
        names = ", ".join(priced.unknown[:_SHOWN]) + (f" and {others} more" if others > 0 else "")
        notes += [
            f"rate of training unknown: {names}",
            "  give --images-per-second 50, or one of a preset (yolact_r101=45), or measure here "
            "with --budget short",
        ]
    if not priced.counts_evaluation:
        notes.append(
            "evaluation is not counted: its rate is unknown; give --evaluation-images-per-second"
        )
    return notes


def _sharing_lines(priced: Priced) -> list[str]:
    members = priced.programme.members
    heads = ("shared", "trainings", "device-hours", "saved", "")
    numbers = (
        len(priced.programme.units),
        sum(len(member.trainings) for member in members),
        len(priced.train_seconds),
    )
    times = (priced.unshared, priced.shared_within, priced.shared)
    names = ("nothing", "within each ablation", "across all of them")
    rows = [heads]
    for name, number, seconds in zip(names, numbers, times, strict=True):
        whole = priced.unshared
        saved = None if whole is None or seconds is None else whole - seconds
        part = f"{saved / whole:.1%}" if whole and saved is not None else ""
        rows.append((name, str(number), device_hours(seconds), device_hours(saved), part))
    return aligned(rows, numbers=True)
