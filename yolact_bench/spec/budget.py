"""Budgets: runs that stand in for a full one, in seconds or in a tenth of the time.

A budget is a function of the runs alone, so its results have digests of their own: a proxy is
never mistaken for the real one, nor vice versa.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from yolact_bench.errors import SpecError
from yolact_bench.slots import Choice, hint
from yolact_bench.spec.run import Run

FULL = "full"
BUDGETS: Mapping[str, str] = {
    "smoke": "2 iterations on synthetic images of 65 px: shows only that everything runs",
    "short": "a tenth of the schedule: a proxy for the full one",
    FULL: "what the spec asks for",
}

SHORT_FACTOR = 10
SMOKE_SIDE = 65  # px; what the smallest input of an ablation becomes, as fewer are refused
_SMOKE_IMAGES = {"train_images": 4, "val_images": 2, "size": 96}
_SMOKE_SCHEDULE = {"iterations": 2, "batch_size": 2, "warmup": 1}
_SMOKE_RESCORE_LAYERS = 3  # stride-2 layers without padding that 18 × 18 prototypes admit

# Defaults of the components; a test compares them with the signatures.
_LENGTH: Mapping[str, object] = {"iterations": 800_000, "warmup": 500}
SCHEDULE_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "steps": {**_LENGTH, "steps": [280_000, 600_000, 700_000, 750_000]},
    "cosine": _LENGTH,
}
_YOLACT_SCALES = [24.0, 48.0, 96.0, 192.0, 384.0]
SCALE_DEFAULTS: Mapping[str, Sequence[float]] = {
    "one_scale": _YOLACT_SCALES,
    "three_scales": _YOLACT_SCALES,
    "five_ratios": _YOLACT_SCALES,
    "pascal": [32.0, 64.0, 128.0, 256.0, 512.0],
}
# What stands in for a runtime that refuses a CPU.
RUNTIME_ON_CPU: Mapping[str, str] = {"cuda_graph": "compiled"}
RESCORE_DEFAULTS: Mapping[str, Sequence[int]] = {"mask_iou": [8, 16, 32, 64, 128]}


def check_budget(name: str) -> None:
    """Check the name of a budget.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in BUDGETS:
        raise SpecError(f"--budget {name}: there is no such budget{hint(name, BUDGETS)}")


def budgeted(run: Run, budget: str, *, sides: Mapping[int, int]) -> Run:
    """Return the run that stands in for `run` under a budget; `sides` are from `smoke_sides`."""
    if budget == "short":
        return replace(run, schedule=_shortened(run.schedule))
    if budget == "smoke":
        return _smoke(run, sides[run.image_size])
    return run


def smoke_sides(sizes: Iterable[int]) -> dict[int, int]:
    """Return image size → its size in a smoke run, for all sizes of an ablation.

    All are divided by one factor, which makes the smallest `SMOKE_SIDE`; where rounding would
    make two equal, the larger one stays larger.
    """
    ordered = sorted(set(sizes))
    factor = max(1.0, ordered[0] / SMOKE_SIDE)
    sides: dict[int, int] = {}
    for size in ordered:
        sides[size] = max([round(size / factor), *(side + 1 for side in sides.values())])
    return sides


def _smoke(run: Run, side: int) -> Run:
    # Only a synthetic set can be drawn again: its seed and draw still identify it.
    drawn = run.dataset if run.dataset.get("name") == "shapes" else {"name": "shapes"}
    steps: Choice = {"steps": []} if "steps" in _schedule_defaults(run.schedule) else {}
    return replace(
        run,
        image_size=side,
        anchors=_scaled(run.anchors, side / run.image_size),
        rescore_net=_fitting(run.rescore_net),
        dataset={**drawn, **_SMOKE_IMAGES},
        schedule={**run.schedule, **steps, **_SMOKE_SCHEDULE},
        # Nothing is downloaded. Two iterations are too few for the statistics of random weights,
        # which must not be frozen, nor may a hundred layers multiply their error.
        init={"name": "zero_gamma"},
        batch_norm={"name": "train"},
        precision=_for_cpu(run.precision),
        runtime=_runtime_for_cpu(run.runtime),
    )


def _scaled(anchors: Choice, factor: float) -> Choice:
    """Anchors are in pixels of the input: they shrink with it."""
    if isinstance(anchors.get("sizes"), list):
        return {**anchors, "sizes": _times(anchors["sizes"], factor)}
    scales = anchors.get("scales", SCALE_DEFAULTS.get(str(anchors.get("name"))))
    return anchors if scales is None else {**anchors, "scales": _times(scales, factor)}


def _times(value: object, factor: float) -> object:
    """Return a number, or a nested list of numbers, multiplied."""
    if isinstance(value, list | tuple):
        return [_times(item, factor) for item in value]
    # Other values stay as they are: building the network reports the mistake.
    return round(value * factor, 3) if isinstance(value, int | float) else value


def _fitting(rescore_net: Choice) -> Choice:
    default = RESCORE_DEFAULTS.get(str(rescore_net.get("name")))
    channels = rescore_net.get("channels", default)
    if default is None or not isinstance(channels, list):
        return rescore_net
    return {**rescore_net, "channels": channels[:_SMOKE_RESCORE_LAYERS]}


def _schedule_defaults(schedule: Choice) -> Mapping[str, object]:
    return SCHEDULE_DEFAULTS.get(str(schedule.get("name")), {})


def _shortened(schedule: Choice) -> Choice:
    """Iterations, decay steps and warm-up divided; batch size and rates as they are."""
    lengths = {**_schedule_defaults(schedule), **schedule}
    names = [name for name in ("iterations", "warmup", "steps") if name in lengths]
    return {**schedule, **{name: _divided(lengths[name]) for name in names}}


def _divided(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_divided(item) for item in value]
    return max(min(1, value), value // SHORT_FACTOR) if isinstance(value, int) else value


def _for_cpu(precision: str) -> str:
    return "fp32" if precision == "fp16" else precision


def _runtime_for_cpu(runtime: Choice) -> Choice:
    name = RUNTIME_ON_CPU.get(str(runtime["name"]), runtime["name"])
    precise = {"precision": _for_cpu(str(runtime["precision"]))} if "precision" in runtime else {}
    return {**runtime, "name": name, **precise}
