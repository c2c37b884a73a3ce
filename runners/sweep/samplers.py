"""Optuna's samplers, pruners and distributions for the words of a spec."""

import inspect
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.trial import BaseTrial, FrozenTrial

from runners.sweep import fact
from yolact_bench.errors import SpecError, word_list
from yolact_bench.spec.sweep.space import Components, Domain, Space, Value, ValueList
from yolact_bench.spec.sweep.sweep import SweepSpec


def sampler_of(spec: SweepSpec, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of a spec."""

    def constraints(trial: FrozenTrial) -> Sequence[float]:
        return (float(trial.user_attrs.get(fact.OVER_BUDGET, 0.0)),)

    limit = None if spec.budget_ms is None else constraints
    make: Mapping[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, constraints_func=limit
        ),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, constraints_func=limit),
        # Every set of parameters is enqueued, so that nothing is left to draw.
        "grid": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    return make[spec.sampler]()


def pruner_of(spec: SweepSpec) -> optuna.pruners.BasePruner:
    """Return the pruner of a spec.

    Raises:
        SpecError: an unknown option, or a value that the pruner refuses.
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
        options = word_list(list(inspect.signature(make[spec.pruner]).parameters))
        raise SpecError(
            f"{spec.where('pruner')}: {spec.pruner}: {error}; its options: {options}"
        ) from error


def suggest(trial: BaseTrial, space: Space) -> None:
    """Draw the parameters of a trial; options of a component only where it is chosen."""
    for path, entry in space.items():
        if not isinstance(entry, Components):
            _suggest(trial, path, entry)
            continue
        component = str(_suggest(trial, path, ValueList(values=tuple(entry.options))))
        for name, domain in entry.options[component].items():
            _suggest(trial, f"{path}.{component}.{name}", domain)


def _suggest(trial: BaseTrial, name: str, domain: Domain) -> Value:
    if isinstance(domain, ValueList):
        return trial.suggest_categorical(name, domain.stored)
    if domain.whole:
        low, high, step = int(domain.low), int(domain.high), int(domain.step or 1)
        return trial.suggest_int(name, low, high, log=domain.log, step=step)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)
