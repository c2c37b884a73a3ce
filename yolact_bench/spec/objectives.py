"""What a sweep may seek: metrics by name, AP as fractions as records have it."""

from collections.abc import Mapping

_KINDS = ("mask", "box")
_SUMMARY = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip

# By the scores of a detector.
SCORES = tuple(f"{kind}_{name}" for kind in _KINDS for name in _SUMMARY)
# By the network and its training, which detection does not change.
COSTS: Mapping[str, str] = {
    "parameters": "of the network and its re-scoring network",
    "macs": "multiply-adds of one image",
    "train_seconds": "of training alone",
    "peak_memory_mb": "of training, on a GPU",
}
# By alternating rounds with the base.
TIMES: Mapping[str, str] = {
    "latency_ms": "median milliseconds, at the pace of the first session",
    "latency_ratio": "median milliseconds, as a multiple of the base's in the same rounds",
}
METRICS: Mapping[str, str] = {**dict.fromkeys(SCORES, "COCO"), **COSTS, **TIMES}

DIRECTIONS: Mapping[str, bool] = {"maximise": True, "minimise": False}
MODES: Mapping[str, str] = {
    "single": "one objective",
    "pareto": "two objectives or more, all of whose best compromises are kept",
    "budget": "one objective, among what is fast enough before it is trained",
}
SAMPLERS: Mapping[str, str] = {
    "tpe": "a model of what good trials have in common",
    "nsga2": "a population, for several objectives",
    "random": "evenly",
    "grid": "every set of parameters once, in order",
}
# Name → options with their values where the spec does not say.
PRUNERS: Mapping[str, Mapping[str, int]] = {
    "median": {"n_startup_trials": 4, "n_warmup_steps": 0, "n_min_trials": 1},
    "successive_halving": {"reduction_factor": 4, "min_early_stopping_rate": 0},
    "hyperband": {"reduction_factor": 3},
}
