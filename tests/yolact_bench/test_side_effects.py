"""What an arm changes beyond what it writes, from runs as a manifest keeps them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from yolact_bench.catalog import components
from yolact_bench.resolve import resolve_architecture, with_later
from yolact_bench.side_effects import side_effect_lines
from yolact_bench.slots import defaults_of
from yolact_bench.spec.base_run import change
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run

Changes = Mapping[str, object]
NOTHING: Changes = {}


def resolved(base: Changes, changes: Changes) -> Run:
    run = preset("yolact_r101")
    for path, value in [*base.items(), *changes.items()]:
        run = change(run, path, value, relative_to=Path())
    return resolve_architecture(run, files=False)


def effects(changes: Changes, *, base: Changes = NOTHING, baseline: Changes = NOTHING) -> list[str]:
    """What is printed of an arm; `base` changes the baseline, too."""
    runs = {"baseline": resolved(base, baseline), "arm": resolved(base, changes)}
    written = {"baseline": baseline, "arm": changes}
    data = {arm: run.as_dict() for arm, run in runs.items()}
    lines = side_effect_lines(data, written, "baseline")
    assert len(lines) <= 1
    assert all(line.startswith("arm: also ") for line in lines)
    return [effect for line in lines for effect in line.removeprefix("arm: also ").split(", ")]


def default(slot: str, name: str, option: str) -> object:
    return defaults_of(components(slot)[name])[option]


@pytest.mark.parametrize("nms", ["matrix", {"name": "matrix"}])
def test_a_default_of_another_component_is_named_with_both_values(nms: object) -> None:
    """Options of one component alone come last: Matrix NMS has no threshold on IoU."""
    ours, theirs = default("nms", "matrix", "top_k"), default("nms", "fast", "top_k")
    assert ours != theirs
    first, *own, last = effects({"nms": nms})
    assert first == f"nms.top_k {ours} (baseline {theirs})"
    names = ("decay", "sigma", "min_decayed")
    assert own == [f"nms.{o} {default('nms', 'matrix', o)} (baseline unset)" for o in names]
    assert last == f"nms.max_iou unset (baseline {default('nms', 'fast', 'max_iou')})"


def test_values_are_printed_as_one_would_write_them() -> None:
    """`none` does not inherit the side of masks that the base writes for `ssd`."""
    limit = default("nms", "fast", "max_detections")
    assert effects({"nms": "cross_class_fast"}) == [f"nms.max_detections null (baseline {limit})"]
    masks = default("augment", "none", "masks")
    first, *_ = effects({"augment": "none"}, base={"augment.masks": "prototype_size"})
    assert first == f"augment.masks {masks} (baseline prototype_size)"


@pytest.mark.parametrize(
    "changes",
    [
        {"nms": {"name": "fast", "max_iou": 0.6}},
        {"nms.max_iou": 0.6},
        {"nms": "cross_class_fast", "nms.max_detections": 50},
        {"image_size": 400, "seed": 100},
        {"dataset": {"name": "coco_format", "file": "folder/dataset.yaml"}},
        {"dataset": "folder/dataset.yaml"},
    ],
)
def test_what_an_arm_writes_is_no_side_effect(changes: Changes) -> None:
    assert effects(changes) == []


def test_a_whole_choice_gives_up_what_the_base_set() -> None:
    """As long as it keeps nothing, or in runs of earlier versions."""
    own = default("nms", "fast", "top_k")
    lost = [f"nms.top_k {own} (baseline 77)"]
    assert effects({"nms": {"name": "fast", "max_iou": 0.6}}, base={"nms.top_k": 77}) == lost


def test_an_arm_that_writes_nothing_differs_in_what_the_baseline_writes() -> None:
    assert effects({}, baseline={"semantic_loss": "none", "image_size": 400}) == [
        "image_size 550 (baseline 400)",
        "semantic_loss bce (baseline none)",
        f"semantic_loss.weight {default('semantic_loss', 'bce', 'weight')} (baseline unset)",
    ]


def test_a_file_is_named_without_its_folder() -> None:
    weights = {"init": {"name": "checkpoint", "file": "a/folder/r101.pth"}}
    first, *_ = effects({"init": "imagenet"}, base=weights)[1:]
    assert first == "init.file unset (baseline r101.pth)"


def test_data_of_a_run_and_external_rows_are_left_out() -> None:
    """What is filled in follows from the data set, which an arm has to write."""
    run = resolved({}, {}).as_dict()
    other = {**run, "train_data": "a", "eval_data": "b", "classes": ["c"], "packages": {"nms": "d"}}
    runs = {"baseline": run, "arm": other, "foreign": {}}
    assert side_effect_lines(runs, {"baseline": {}, "arm": {}}, "baseline") == []


def test_an_option_left_out_at_its_default_is_compared_by_it() -> None:
    base, arm = resolved({}, {"runtime": "cuda_graph"}), resolved({}, {"runtime.precision": "bf16"})
    assert "streams" not in base.runtime
    full = with_later(base)
    assert full.runtime["streams"] == default("runtime", "cuda_graph", "streams")
    assert full.runtime | dict(base.runtime) == full.runtime
    assert with_later(arm) == arm
    chosen = resolved({}, {"runtime": {"name": "cuda_graph", "streams": 2}})
    assert with_later(chosen).runtime["streams"] == 2
