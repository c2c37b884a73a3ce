"""Optuna's samplers and pruners, as a spec names them."""

from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial

from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.sweep import SweepSpec

OVER_BUDGET = "over_budget"  # the fact: ms; above 0: not feasible


def sampler_of(spec: SweepSpec, seed: int) -> optuna.samplers.BaseSampler:
    """Return what draws the parameters of trials."""
    constraints = _constraints if spec.mode == "budget" else None
    make: Mapping[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            constant_liar=True,
            constraints_func=constraints,
        ),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, constraints_func=constraints),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        # Every set of parameters is enqueued; nothing is left to draw.
        "grid": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    return make[spec.sampler]()


def _constraints(trial: FrozenTrial) -> Sequence[float]:
    return (float(trial.user_attrs.get(OVER_BUDGET, 0.0)),)


def pruner_of(spec: SweepSpec) -> optuna.pruners.BasePruner:
    """Return what decides that a training is not worth going on with.

    Raises:
        SpecError: an option that it does not have, or a value that it refuses.
    """
    make: Mapping[str, Callable[..., optuna.pruners.BasePruner]] = {
        "median": optuna.pruners.MedianPruner,
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "none": optuna.pruners.NopPruner,
    }
    try:
        return make[spec.pruner](**spec.pruner_options)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{spec.where('pruner')}: {spec.pruner}: {error}") from error
