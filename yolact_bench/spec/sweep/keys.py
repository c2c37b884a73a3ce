"""The keys of a sweep's YAML: mode, objectives, sampler, pruner.

Every function raises a SpecError with file, line and key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yolact_bench.spec.source import Source

MODES: Mapping[str, str] = {
    "single": "one objective",
    "pareto": "the front of two or more objectives",
    "budget": "one objective, among networks within latency.budget_ms before training",
}
SAMPLERS = ("tpe", "random", "nsga2", "grid")
PRUNERS = ("median", "successive_halving", "hyperband", "none")
_OF_AP = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar_1", "ar_10", "ar_100")
AP_METRICS = tuple(f"{kind}_{name}" for kind in ("mask", "box") for name in _OF_AP)
TIME_METRICS = ("latency_ms", "latency_ratio")
COST_METRICS = ("parameters", "macs", "train_seconds", "peak_memory_mb")
# Metrics of a validation during training, by which a trial can be pruned.
VALIDATED = ("mask_ap", "mask_ap50", "box_ap")
METRICS = (*AP_METRICS, *TIME_METRICS, *COST_METRICS)
DIRECTIONS = {"maximise": True, "minimise": False, "maximize": True, "minimize": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A metric and its direction."""

    metric: str
    maximise: bool


def read_objectives(source: Source, mode: str) -> tuple[Objective, ...]:
    """Return the objectives, which must fit the mode."""
    data = source.data.get("objectives", {"mask_ap": "maximise"})
    if not isinstance(data, Mapping) or not data:
        raise source.error(("objectives",), f"expected such as {{mask_ap: maximise}}, got {data!r}")
    source.check_keys(("objectives",), data, METRICS)
    objectives = []
    for metric, word in data.items():
        if word not in DIRECTIONS:
            raise source.error(
                ("objectives", str(metric)), f"expected maximise or minimise, got {word!r}"
            )
        objectives.append(Objective(metric=str(metric), maximise=DIRECTIONS[str(word)]))
    if mode == "pareto" and len(objectives) < 2:
        raise source.error(("objectives",), "pareto needs two or more; with one write mode: single")
    if mode != "pareto" and len(objectives) != 1:
        raise source.error(("objectives",), f"{mode} has one; with several write mode: pareto")
    timed = [one.metric for one in objectives if one.metric in TIME_METRICS]
    if timed and mode != "pareto":
        raise source.error(
            ("objectives", timed[0]),
            "alone, a network that detects nothing would win; write mode: pareto with mask_ap "
            "beside it, or mode: budget",
        )
    return tuple(objectives)


def read_whole(source: Source, key: str, default: int) -> int:
    """Return the whole number under `key`, from 1 on."""
    value = source.data.get(key, default)
    if type(value) is not int or value < min(1, default):
        raise source.error((key,), f"expected a whole number from 1 on, got {value!r}")
    return value


def read_sampler(source: Source) -> tuple[str, int]:
    """Return the sampler and its seed."""
    data = source.data.get("sampler", "tpe")
    choice = {"name": data} if isinstance(data, str) else data
    if not isinstance(choice, Mapping):
        raise source.error(("sampler",), f"expected such as {{name: tpe, seed: 0}}, got {data!r}")
    source.check_keys(("sampler",), choice, ("name", "seed"))
    name = source.word(("sampler", "name"), choice.get("name", "tpe"), SAMPLERS)
    seed = choice.get("seed", 0)
    if type(seed) is not int or seed < 0:
        raise source.error(("sampler", "seed"), f"expected a whole number from 0 on, got {seed!r}")
    return name, seed


def read_pruner(
    source: Source, mode: str, objectives: Sequence[Objective]
) -> tuple[str, Mapping[str, object]]:
    """Return the pruner and its options, which are Optuna's."""
    metric, maximised = objectives[0].metric, objectives[0].maximise
    can_prune = mode != "pareto" and maximised and metric in VALIDATED
    data = source.data.get("pruner", "median" if can_prune else "none")
    choice = data if isinstance(data, Mapping) else {"name": "none" if data is None else data}
    name = source.word(("pruner",), choice.get("name", "median"), PRUNERS)
    if mode == "pareto" and name != "none":
        message = "a trial with several objectives cannot be pruned; leave the key out"
        raise source.error(("pruner",), message)
    if name != "none" and not can_prune:
        raise source.error(
            ("pruner",),
            f"validation during training measures {', '.join(VALIDATED)}; a trial cannot be pruned "
            f"by {metric}: leave the key out",
        )
    return name, {str(key): value for key, value in choice.items() if key != "name"}
