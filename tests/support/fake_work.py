"""A work folder as a finished ablation leaves it: five arms, two trainings, one failure."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolact_bench.results.manifest import Manifest, PlannedRun, save
from yolact_bench.results.record import (
    Accuracy,
    ApSummary,
    Environment,
    Errors,
    Failure,
    Latency,
    Record,
    TimingProtocol,
)
from yolact_bench.results.resamples import save_resamples
from yolact_bench.results.store import Store

NAME = "quick"
CLASSES = ("disc", "square", "triangle", "star", "ring")
# arm → (training, mask AP, box AP, milliseconds); `broken` fails in evaluation.
ARMS: dict[str, tuple[str, float, float, float]] = {
    "fast": ("t-plain", 0.3100, 0.3500, 40.0),
    "sequential": ("t-plain", 0.3125, 0.3520, 44.0),
    "cross_class_fast": ("t-plain", 0.3050, 0.3450, 38.0),
    "deformable": ("t-dcn", 0.3350, 0.3600, 60.0),
    "broken": ("t-plain", 0.0, 0.0, 0.0),
}
CHANGES: dict[str, dict[str, object]] = {
    "fast": {},
    "sequential": {"nms": {"name": "sequential"}},
    "cross_class_fast": {"nms": {"name": "cross_class_fast"}},
    "deformable": {"dcn": {"name": "every_nth", "n": 1}},
    "broken": {"nms": {"name": "soft", "sigma": 0.0}},
}
ROUNDS = 100


def environment(**changes: object) -> Environment:
    values: dict[str, object] = {
        "commit": "c0ffee1",
        "dirty": False,
        "device": "Example (CPU)",
        "device_type": "cpu",
        "threads": 2,
        "driver": "",
        "os": "Linux 6.1",
        "versions": {"python": "3.11.2", "torch": "2.11.0", "numpy": "2.4.0"},
    }
    return Environment(**{**values, **changes})  # type: ignore[arg-type]


def ap(value: float) -> ApSummary:
    """0.05 less at each IoU step; ap50 is 0.2 above, ap75 0.02; no large objects."""
    return ApSummary(
        ap=value,
        ap50=value + 0.2,
        ap75=value + 0.02,
        ap_small=value - 0.1,
        ap_medium=value + 0.05,
        ap_large=None,
        ar_1=value,
        ar_10=value + 0.05,
        ar_100=value + 0.06,
        ar_small=value,
        ar_medium=value,
        ar_large=None,
        ap_by_iou=tuple(max(0.0, value + 0.2 - 0.05 * step) for step in range(10)),
        ap_by_class={name: value - 0.02 * place for place, name in enumerate(CLASSES)},
    )


def accuracy(arm: str, *, seed: int = 0, shift: float = 0.0, **changes: object) -> Accuracy:
    training, mask, box, _ = ARMS[arm]
    values: dict[str, object] = {
        "ablation": NAME,
        "arm": arm,
        "seed": seed,
        "train_digest": f"{training}-{seed}",
        "forward_digest": f"f-{training}-{seed}",
        "detect_digest": f"d-{arm}-{seed}",
        "dataset": "shapes val",
        "eval_data": "e1",
        "num_images": 200,
        "box": ap(box + shift),
        "mask": ap(mask + shift),
        "parameters": 3_140_000 if training == "t-plain" else 3_250_000,
        "iterations": 600,
        "train_seconds": 240.0,
        "train_images_per_second": 40.0,
        "skipped_annotations": 0,
        "peak_memory_mb": None,
        "predictions": f"predictions/d-{arm}-{seed}",
        "environment": environment(),
        "time": "2026-01-01T00:00:00Z",
    }
    return Accuracy(**{**values, **changes})  # type: ignore[arg-type]


def add_session(store: Store, session: str, *arms: str, **changes: object) -> None:
    """Add a session of these arms, or of two."""
    for arm in arms or ("fast", "sequential"):
        store.add(latency(arm, session=session, **changes))


def latency(arm: str, *, seed: int = 0, session: str = "s1", **changes: object) -> Latency:
    """Rounds that swing by 20 % with the image: the ratio to another arm does not swing."""
    training, _, _, ms = ARMS[arm]
    swing = [1 + 0.2 * math.sin(place) for place in range(ROUNDS)]
    values: dict[str, object] = {
        "ablation": NAME,
        "arm": arm,
        "seed": seed,
        "train_digest": f"{training}-{seed}",
        "detect_digest": f"d-{arm}-{seed}",
        "session": session,
        "interleaved_with": tuple(name for name in ARMS if name != "broken"),
        "scenario": "end_to_end",
        "timer": "wall clock",
        "precision": "fp32",
        "samples_ms": tuple(ms * factor for factor in swing),
        "stages_ms": {
            "nms": (ms * 0.15,) * 5,
            "preprocess": (1.0,) * 5,
            "backbone": (ms * 0.4,) * 5,
            "head": (ms * 0.2,) * 5,
            "upsample": (ms * 0.1,) * 5,
        },
        "image_ids": tuple(place % 20 for place in range(ROUNDS)),
        "warmup": 10,
        "peak_memory_mb": None,
        "environment": environment(),
        "time": "2026-01-01T01:00:00Z",
        "protocol": TimingProtocol(version=2, rounds=ROUNDS, detections=12.5),
    }
    return Latency(**{**values, **changes})  # type: ignore[arg-type]


def failure(arm: str = "broken", *, seed: int = 0, phase: str = "evaluate") -> Failure:
    return Failure(
        ablation=NAME,
        arm=arm,
        seed=seed,
        train_digest=f"{ARMS[arm][0]}-{seed}",
        detect_digest=f"d-{arm}-{seed}",
        phase=phase,
        kind="error",
        message="sigma must be above 0",
        traceback="…",
        environment=environment(),
        time="2026-01-01T02:00:00Z",
    )


def errors(arm: str, *, seed: int = 0, shift: float = 0.0) -> Errors:
    split = {"ap50": 0.51, "classification": 0.02, "localisation": 0.08 + shift, "missed": 0.12}
    return Errors(
        ablation=NAME,
        arm=arm,
        seed=seed,
        train_digest=f"{ARMS[arm][0]}-{seed}",
        detect_digest=f"d-{arm}-{seed}",
        eval_data="e1",
        box=split,
        mask=split,
        oracles={"none": 0.31, "rescore_gt": 0.36 + shift, "project_gt": 0.9},
        environment=environment(),
        time="2026-01-01T03:00:00Z",
    )


RESAMPLES = 1000


def write_resamples(
    work: Path, record: Accuracy, *, noise: float = 0.001, sampling: str = "s"
) -> None:
    """All runs swing alike with the images drawn, and by `noise` of their own in turns.

    So a Δ of runs with noises a and b is its value ± (b − a), and its variance (b − a)² · 1000/999.
    """
    swing = np.random.default_rng(7).normal(0.0, 0.01, RESAMPLES)
    own = noise * np.where(np.arange(RESAMPLES) % 2, 1.0, -1.0)
    columns = {}
    for kind, ap in (("mask", record.mask), ("box", record.box)):
        points = {"ap": ap.ap, "ap50": ap.ap50, "ap75": ap.ap75, "ap_small": ap.ap_small}
        for name, point in points.items():
            assert point is not None
            columns[f"{kind}_{name}"] = point + swing + own
    path = work / "resamples" / f"{record.detect_digest}.npz"
    path.parent.mkdir(exist_ok=True)
    save_resamples(path, columns, sampling=sampling)


def manifest(*, seeds: Sequence[int] = (0,), **changes: object) -> Manifest:
    values: dict[str, object] = {
        "name": NAME,
        "question": "What do NMS variants and deformable layers cost & bring?",
        "command": "yolact-bench run ablations/quick.yaml",
        "base": "yolact_tiny",
        "baseline": "fast",
        "changes": ("nms", "dcn"),
        "arm_changes": CHANGES,
        "seeds": tuple(seeds),
        "measure": ("accuracy", "latency"),
        "dataset": "shapes",
        "paper": "yolact.nms",
        "expect": ("mask_ap[deformable] >= mask_ap[fast] + 1.0",),
        "runs": tuple(
            PlannedRun(
                arm=arm,
                seed=seed,
                train_digest=f"{training}-{seed}",
                forward_digest=f"f-{training}-{seed}",
                detect_digest=f"d-{arm}-{seed}",
                run={"seed": seed},
            )
            for seed in seeds
            for arm, (training, *_) in ARMS.items()
        ),
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def finished_records() -> list[Record]:
    arms = [arm for arm in ARMS if arm != "broken"]
    return [
        *(accuracy(arm) for arm in arms),
        failure(),
        *(latency(arm) for arm in arms),
    ]


def write_work(
    work: Path, records: Sequence[Record] | None = None, plan: Manifest | None = None
) -> Path:
    plan = plan or manifest()
    save(plan, work / "reports" / plan.name)
    store = Store(work / "results.jsonl")
    for record in finished_records() if records is None else records:
        store.add(record)
    for place, training in enumerate(("t-plain-0", "t-dcn-0")):
        _write_log(work / "checkpoints" / training / "log.jsonl", place)
    return work


def _write_log(file: Path, place: int) -> None:
    file.parent.mkdir(parents=True)
    lines: list[dict[str, object]] = []
    for i in range(10, 601, 10):
        wobble = 0.15 * math.sin(7.3 * i + place)
        parts = {
            name: size * (2.5 * math.exp(-i / 90) + 0.5 - 0.05 * place) * (1 + wobble)
            for name, size in (("box", 1.2), ("class", 2.4), ("mask", 2.0), ("semantic", 0.5))
        }
        total = sum(parts.values())
        lines.append({"iteration": i, "losses": parts, "total": total, "lr": 8e-3})
        if i % 200 == 0:
            scores = {"mask_ap": 0.1 + i / 3000 + 0.02 * place, "box_ap": 0.12 + i / 3000}
            lines.append({"iteration": i, "validation": scores})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
