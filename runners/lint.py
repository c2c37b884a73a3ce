"""Arms that are one run under two names: their difference would be nothing, or chance."""

import json
from dataclasses import replace

from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.ablation import Ablation


def check_arms_differ(ablation: Ablation) -> None:
    """Check that no two arms are the same run with the same seed; an A/A control has another.

    The runs that the spec asks for count: under a budget, arms may become equal.

    Raises:
        SpecError: two arms that resolve to equal digests, or an arm that cannot be resolved.
    """
    first: dict[tuple[str, int], tuple[str, int]] = {}
    for arm in ablation.arms:
        try:
            run = resolve_architecture(arm.full)
        except SpecError as error:
            raise SpecError(f"{arm.where}: {error}") from error
        # The data may not be here, so that the digest has no fingerprint of it.
        identity = replace(run, seed=0).detect_digest + json.dumps(run.dataset, sort_keys=True)
        for seed in ablation.seeds:
            other, other_seed = first.setdefault((identity, run.seed + seed), (arm.name, seed))
            if other != arm.name:
                raise SpecError(f"{arm.where}: {_fault(other, seed, other_seed)}")


def _fault(other: str, seed: int, other_seed: int) -> str:
    if seed == other_seed:
        return (
            f"is the same run as {other!r}, in every option; change or remove it, or, as an A/A "
            "control, give it seeds of its own: {seed: 100}, with seed among changes"
        )
    return (
        f"with seed {seed} is the run of {other!r} with seed {other_seed}, as seeds are added to "
        "an arm's own; write a seed further away: {seed: 100}"
    )
