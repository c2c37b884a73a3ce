"""Sweeps as a coordinator leaves them, from simple arithmetic and a seed."""

import math
import random
from collections.abc import Mapping
from pathlib import Path

from tests.support.fake_work import environment
from yolact_bench.results.sweep import Sweep, Trial, save
from yolact_bench.spec.sweep.keys import Objective

MASK_AP = Objective(metric="mask_ap", maximise=True)
LATENCY = Objective(metric="latency_ms", maximise=False)


def trial_of(number: int, state: str = "complete", **given: object) -> Trial:
    values: dict[str, object] = {
        "number": number,
        "state": state,
        "changes": {},
        "params": {},
        "metrics": {},
        "iterations": (),
        "curve": (),
        "train_digest": "7fc806af6278c111",
        "detect_digest": f"d{number:04d}",
        "seconds": 1.5,
        "reason": "",
        "origin": "",
    }
    return Trial(**{**values, **given})  # type: ignore[arg-type]


def sweep_of(*trials: Trial, **given: object) -> Sweep:
    values: dict[str, object] = {
        "name": "nms",
        "question": "Which NMS, and with which thresholds?",
        "command": "yolact-bench sweep sweeps/nms.yaml",
        "mode": "single",
        "base": "yolact_tiny",
        "dataset": "shapes",
        "objectives": (MASK_AP,),
        "latency_budget_ms": None,
        "num_trials": len(trials),
        "trains": False,
        "base_metrics": {"mask_ap": 0.312},
        "trials": trials,
        "best": (),
        "importance": {},
        "sampler": "tpe, seed 0",
        "pruner": "none",
        "environment": environment(),
        "seconds": 120.0,
        "time": "2026-01-01T00:00:00+00:00",
    }
    return Sweep(**{**values, **given})  # type: ignore[arg-type]


def save_sweep(work_dir: Path, sweep: Sweep) -> Path:
    return save(sweep, work_dir / "sweeps" / sweep.name)


def nms_sweep(trials: int = 200) -> Sweep:
    """Inference-only: a component with options of its own, a threshold over two decades."""
    draw = random.Random(0)
    made = [_nms_trial(number, draw) for number in range(trials)]
    return sweep_of(
        *made,
        best=(_best(made),),
        num_trials=trials - 2,  # two were asked for in vain: the same as another
        seconds=247.0,
        importance={"mask_ap": {"nms": 0.52, "nms.fast.max_iou": 0.21, "nms.min_score": 0.17}
                    | {"nms.sequential.max_iou": 0.08, "nms.fast.top_k": 0.02}},
    )  # fmt: skip


def _nms_trial(number: int, draw: random.Random) -> Trial:
    name = draw.choice(["fast", "sequential", "soft"])
    min_score = 10 ** draw.uniform(-3, -0.7)
    options: dict[str, object] = {}
    value = 0.33 - 0.02 * math.log10(min_score / 0.004) ** 2
    if name == "soft":
        options["sigma"] = draw.uniform(0.2, 1.0)
        value -= 0.02
    else:
        options["max_iou"] = draw.uniform(0.3, 0.7)
        value -= 0.6 * (float(str(options["max_iou"])) - 0.52) ** 2
    if name == "fast":
        options["top_k"] = draw.choice([50, 100, 200])
        value -= 0.004
    params = {"nms": name, **{f"nms.{name}.{k}": v for k, v in options.items()}}
    choices: dict[str, Mapping[str, object]] = {
        "changes": {"nms": {"name": name, **options, "min_score": min_score}},
        "params": {**params, "nms.min_score": min_score},
    }
    if number == 30:
        reason = "evaluate (error): SpecError: nms.soft: sigma must be positive"
        return trial_of(number, "failed", reason=reason, **choices)
    if number in (41, 77):
        return trial_of(number, "skipped", reason="same as trial 3", **choices)
    found = {"mask_ap": value + draw.gauss(0, 0.0015), "box_ap": value + 0.04}
    return trial_of(number, metrics=found, **choices)


def pareto_sweep(trials: int = 60, **given: object) -> Sweep:
    """AP against latency: more prototypes, layers and pixels cost time and gain less and less."""
    draw = random.Random(1)
    made = [_pareto_trial(number, draw) for number in range(trials)]
    settings: dict[str, object] = {
        "name": "pareto",
        "question": "Which choices are worth their milliseconds?",
        "command": "yolact-bench sweep sweeps/pareto.yaml",
        "mode": "pareto",
        "base": "yolact_plus_r50",
        "dataset": "coco",
        "objectives": (MASK_AP, LATENCY),
        "trains": True,
        "base_metrics": {"mask_ap": 0.3415, "latency_ms": 33.5},
        "best": _front(made),
        "importance": {
            "mask_ap": {"image_size": 0.61, "dcn": 0.24, "protonet.k": 0.15},
            "latency_ms": {"image_size": 0.83, "dcn": 0.14, "protonet.k": 0.03},
        },
        "sampler": "nsga2, seed 0",
        "seconds": 3600.0 * 212,
    }
    return sweep_of(*made, **{**settings, **given})


def _pareto_trial(number: int, draw: random.Random) -> Trial:
    size, k = draw.choice([400, 450, 500, 550, 600, 700]), draw.choice([8, 16, 32, 64])
    dcn = draw.choice(["none", "every_nth"])
    params: dict[str, object] = {"image_size": size, "protonet.k": k, "dcn": dcn}
    changes: dict[str, object] = {"image_size": size, "protonet.k": k, "dcn": {"name": dcn}}
    ms = 12 + 17 * (size / 550) ** 2 + (5 if dcn != "none" else 0) + k / 40 + draw.gauss(0, 0.6)
    if dcn != "none":
        params["dcn.every_nth.n"] = n = draw.choice([1, 3, 5])
        changes["dcn"] = {"name": dcn, "n": n}
        ms += 3 / n
    value = 0.34 - 0.09 * math.exp(-(ms - 16) / 8) + draw.gauss(0, 0.006)
    if number in (17, 44):
        reason = "train (out_of_memory): 141 GiB of 139 GiB asked for"
        return trial_of(number, "failed", params=params, changes=changes, reason=reason)
    return trial_of(
        number,
        params=params,
        changes=changes,
        metrics={"mask_ap": value, "latency_ms": ms, "latency_ratio": ms / 33.5},
        seconds=12_000.0,
    )


def budget_sweep(trials: int = 48, **given: object) -> Sweep:
    """Trials over 30 ms are not trained; of the others every third or so is pruned."""
    draw = random.Random(2)
    made = [_budget_trial(number, trials, draw) for number in range(trials)]
    settings: dict[str, object] = {
        "name": "budget",
        "question": "What is the best network of at most 30 ms?",
        "command": "yolact-bench sweep sweeps/budget.yaml",
        "mode": "budget",
        "base": "yolact_plus_r50",
        "dataset": "coco",
        "latency_budget_ms": 30.0,
        "trains": True,
        "base_metrics": {"mask_ap": 0.298, "latency_ms": 28.4},
        "best": (_best(made),),
        "importance": {"mask_ap": {"schedule.lr": 0.71, "protonet.k": 0.29}},
        "pruner": "median, after 5 trials",
        "seconds": 3600.0 * 31,
    }
    return sweep_of(*made, **{**settings, **given})


def _budget_trial(number: int, trials: int, draw: random.Random) -> Trial:
    rate, k = 10 ** draw.uniform(-4, -2), draw.choice([8, 16, 32, 64])
    params: dict[str, object] = {"schedule.lr": rate, "protonet.k": k}
    ms = 24 + k / 8 + draw.gauss(0, 0.8)
    top = 0.31 - 0.06 * math.log10(rate / 1e-3) ** 2 + 0.004 * math.log2(k / 8)
    points = 4 if top < 0.28 and number > 4 else 10
    curve = tuple(top * (1 - math.exp(-0.45 * i)) + draw.gauss(0, 0.003) for i in range(1, 11))
    told: dict[str, object] = {"params": params, "changes": params, "metrics": {"latency_ms": ms}}
    if number == 20:
        return trial_of(number, "failed", reason="train (diverged): the loss is NaN", **told)
    if number == trials - 1:
        return trial_of(number, "running", **{**told, "seconds": None})
    if ms > 30:
        reason = f"latency {ms:.1f} ms is over the budget of 30 ms"
        return trial_of(number, "over_budget", reason=reason, seconds=9.0, **told)
    told |= {"iterations": tuple(range(8000, 8000 * points + 1, 8000)), "curve": curve[:points]}
    if points < 10:
        reason = "worse at iteration 32000 than half of the trials before it"
        return trial_of(number, "pruned", reason=reason, seconds=2000.0, **told)
    told["metrics"] = {"latency_ms": ms, "mask_ap": curve[-1]}
    origin = {0: "arm k_16 of quickstart", 21: "retry of 20"}.get(number, "")
    return trial_of(number, seconds=5200.0, origin=origin, **told)


def _best(trials: list[Trial]) -> int:
    done = [trial for trial in trials if trial.state == "complete"]
    return max(done, key=lambda trial: trial.metrics["mask_ap"]).number


def _front(trials: list[Trial]) -> tuple[int, ...]:
    done = [(t.metrics["mask_ap"], t.metrics["latency_ms"], t.number) for t in trials if t.metrics]
    kept = [
        (ap, number)
        for ap, ms, number in done
        if not any(a >= ap and m <= ms and (a, m) != (ap, ms) for a, m, _ in done)
    ]
    return tuple(number for _, number in sorted(kept, reverse=True))
