"""Arms checked one by one and against one another, before any of them is planned."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from runners.units.check_parts import Part, check_parts
from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.resolve import fact_of, in_effect, resolve_architecture, with_later
from yolact_bench.side_effects import side_effect_lines, written_paths
from yolact_bench.slots import defaults_of, fact, find_component
from yolact_bench.spec.ablation import Ablation, Arm
from yolact_bench.spec.options_to_keep import DEFAULTS
from yolact_bench.spec.run import Run

T = TypeVar("T")


def check_arms(ablation: Ablation) -> None:
    """Check that no two arms are one run under two names, and that each can begin to train.

    The runs that the spec asks for count, as under a budget arms may become equal. An A/A
    control is the same run with other seeds. Choices that come to the same, as by `in_effect`,
    are one.

    Raises:
        SpecError: arms with equal digests, and arms that cannot be resolved or initialised.
    """
    first: dict[tuple[str, int], tuple[str, int]] = {}

    def check(arm: Arm) -> None:
        run = resolve_architecture(arm.full, files=False)
        _check_init(run)
        same = replace(in_effect(run), seed=0)
        # The data may not be here, so that the digest has no fingerprint of it.
        identity = same.detect_digest + json.dumps(run.dataset, sort_keys=True)
        for seed in ablation.seeds:
            other, other_seed = first.setdefault((identity, run.seed + seed), (arm.name, seed))
            if other != arm.name:
                raise SpecError(_fault(other, seed, other_seed))

    check_each(ablation, check)


def check_each(ablation: Ablation, check: Callable[[Arm], T]) -> list[T]:
    """Return what a check of every arm returns.

    Raises:
        SpecError: all that is wrong, with the places of the arms; as `check_parts`.
    """
    parts = [
        Part(where=arm.where, paths=arm.changes, check=partial(check, arm)) for arm in ablation.arms
    ]
    base = next(arm.where for arm in ablation.arms if arm.name == ablation.baseline)
    return check_parts(parts, base=base)


def side_effects_of(ablation: Ablation, runs: Mapping[str, Run]) -> list[str]:
    """Return a line for each arm that differs from the baseline in more than it writes.

    And one for each whose components keep other values of the baseline than their own defaults.
    `runs` is arm → resolved run, the baseline's among them.
    """
    lines = side_effect_lines(
        {arm: with_later(run).as_dict() for arm, run in runs.items()},
        {arm.name: arm.changes for arm in ablation.arms},
        ablation.baseline,
    )
    for arm in ablation.arms:
        kept = [
            f"{slot}.{option} {_text(value)} (its own: {_text(default)})"
            for slot, option, value, of_baseline, default in _common_options(ablation, arm, runs)
            if slot in arm.changes and value == of_baseline != default
        ]
        lines += [f"{arm.name}: keeps {', '.join(kept)}"] if kept else []
    return lines


def remedies_of(ablation: Ablation, runs: Mapping[str, Run]) -> list[str]:
    """Return what arms must write to keep the baseline's value of options that they change unseen.

    Those of a choice with `defaults: component` are not unseen.
    """
    remedies = []
    for arm in ablation.arms:
        chosen = written_paths(arm.changes)
        options = [
            f"{slot}.{option}: {_text(of_baseline)}"
            for slot, option, value, of_baseline, _ in _common_options(ablation, arm, runs)
            if value != of_baseline and f"{slot}.{DEFAULTS}" not in chosen
        ]
        remedies += [f"{arm.name}: {{{', '.join(options)}}}"] if options else []
    return remedies


def _common_options(
    ablation: Ablation, arm: Arm, runs: Mapping[str, Run]
) -> Iterator[tuple[str, str, object, object, object]]:
    """Yield slot, option, both values and the default of what an arm has unwritten.

    Of options that the baseline has as well, and that have an effect.
    """
    if arm.name not in runs:  # --only leaves it out
        return
    run, baseline = (with_later(runs[name]) for name in (arm.name, ablation.baseline))
    written = written_paths(arm.changes)
    for slot in OWN:
        ours, theirs = getattr(run, slot), getattr(baseline, slot)
        component = find_component(components(slot), ours)
        assert component is not None  # the run is resolved
        defaults, effects = defaults_of(component), fact(component, "unused_with") or {}
        for option in [one for one in ours if one in theirs and one in defaults]:
            other, without = effects.get(option, ("", ()))
            if f"{slot}.{option}" not in written and ours.get(other) not in without:
                yield slot, option, ours[option], theirs[option], defaults[option]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_init(run: Run) -> None:
    """Missing weights must stop the command before the first arm trains."""
    if fact_of(run, "init", "needs_imagenet") and not fact_of(run, "backbone", "imagenet"):
        raise SpecError(
            f"init: imagenet has no weights for {run.backbone['name']}; write init: "
            "{name: checkpoint, file: …} with those of the reference, or init: {name: none}"
        )


def _fault(other: str, seed: int, other_seed: int) -> str:
    if seed == other_seed:
        return (
            f"is the same run as {other!r}, as no difference has an effect; change or remove it, "
            "or, as an A/A control, give it other seeds: {seed: 100}, with seed among changes"
        )
    return (
        f"with seed {seed} is the run of {other!r} with seed {other_seed}, as seeds are added to "
        "an arm's own; write a seed further away: {seed: 100}"
    )
