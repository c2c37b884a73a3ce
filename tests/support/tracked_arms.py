"""Records, manifests and failures of arms as tests tell them to a tracker."""

from runners.system.environment import environment
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, ApSummary, Failure, Latency
from yolact_bench.spec.presets import preset

RUN = preset("yolact_tiny")
DIGESTS = {"train_digest": "aaaa", "detect_digest": "bbbb"}
TAGS = {"spec": "quickstart.yaml", "git_commit": "c0ffee", "dirty": "false", "device": "test"}


def summary(ap: float) -> ApSummary:
    return ApSummary(
        ap=ap,
        ap50=ap + 0.2,
        ap75=ap,
        ap_small=None,
        ap_medium=ap,
        ap_large=ap,
        ar_1=ap,
        ar_10=ap,
        ar_100=ap,
        ar_small=None,
        ar_medium=ap,
        ar_large=ap,
        ap_by_iou=(ap,) * 10,
        ap_by_class={"disc": ap},
    )


def accuracy(arm: str) -> Accuracy:
    return Accuracy(
        ablation="quick",
        arm=arm,
        seed=0,
        **DIGESTS,
        forward_digest="cccc",
        dataset="shapes val",
        eval_data="dddd",
        num_images=4,
        box=summary(0.25),
        mask=summary(0.5),
        parameters=1000,
        iterations=600,
        train_seconds=12.5,
        train_images_per_second=80.0,
        skipped_annotations=0,
        peak_memory_mb=None,
        predictions="predictions/bbbb",
        environment=environment("cpu"),
        time="2026-01-01T00:00:00+00:00",
    )


def latency(arm: str) -> Latency:
    return Latency(
        ablation="quick",
        arm=arm,
        seed=0,
        **DIGESTS,
        session="s",
        interleaved_with=("fast", "soft"),
        scenario="end_to_end",
        timer="wall clock",
        precision="fp32",
        samples_ms=(3.0, 1.0, 2.0),
        stages_ms={"nms": (0.5, 0.7, 0.6)},
        image_ids=(1, 2, 3),
        warmup=5,
        peak_memory_mb=64.0,
        environment=environment("cpu"),
        time="2026-01-01T00:00:00+00:00",
    )


def failure(arm: str) -> Failure:
    return Failure(
        ablation="quick",
        arm=arm,
        seed=0,
        **DIGESTS,
        phase="train",
        kind="non_finite_loss",
        message="loss is nan",
        traceback="Traceback",
        environment=environment("cpu"),
        time="2026-01-01T00:00:00+00:00",
    )


def planned(arm: str) -> PlannedRun:
    return PlannedRun(arm=arm, seed=0, **DIGESTS, forward_digest="cccc", run=RUN.as_dict())


def manifest(name: str = "quick", budget: str = "full") -> Manifest:
    return Manifest(
        name=name,
        question="Does NMS matter?",
        command="yolact-bench run quickstart.yaml",
        base="yolact_tiny",
        baseline="fast",
        changes=("nms",),
        arm_changes={"fast": {}, "soft": {}, "broken": {}},
        seeds=(0,),
        measure=("accuracy", "latency"),
        dataset="shapes",
        paper=None,
        expect=(),
        runs=tuple(planned(arm) for arm in ("fast", "soft", "broken")),
        budget=budget,
    )
