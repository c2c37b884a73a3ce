"""The options of an evaluation: how they are written, and which digests know of them."""

import json
from pathlib import Path

import pytest

from runners.units.settings import parse_settings
from yolact_bench.errors import SpecError
from yolact_bench.evaluation import (
    COCO_OPTIONS,
    Areas,
    Evaluation,
    crowding_text,
    evaluation_text,
    read_evaluation,
)
from yolact_bench.resolve import resolve_architecture
from yolact_bench.side_effects import side_effect_lines
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import apply_settings
from yolact_bench.spec.external import External
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.sweep import load_sweep

TINY = preset("yolact_tiny")
AREAS = {"small": [0, 400], "medium": [400, 900], "large": [900, 5e4]}
OTHERS = {"max_dets": 300, "areas": AREAS, "classes": ["square", "disc"]}


@pytest.mark.parametrize("option", OTHERS)
def test_each_option_is_in_the_digest_of_the_detections_alone(option: str) -> None:
    changed = TINY.changed({f"evaluation.{option}": OTHERS[option]})
    assert changed.detect_digest != TINY.detect_digest
    assert changed.forward_digest == TINY.forward_digest
    assert changed.train_digest == TINY.train_digest
    assert Run.from_dict(json.loads(json.dumps(changed.as_dict()))) == changed
    assert changed.as_dict()["evaluation"] == changed.evaluation.changes


def test_cocos_options_are_in_no_digest_and_no_file() -> None:
    written = {"max_dets": 100, "classes": [], "areas": {"small": [0, 1024]}}
    written["areas"] = {"small": [0, 1024], "medium": [1024, 9216], "large": [9216, 1e10]}
    changed = TINY.changed({"evaluation": written})
    assert changed == TINY
    assert changed.detect_digest == TINY.detect_digest
    assert "evaluation" not in changed.as_dict()
    assert COCO_OPTIONS.changes == {}


def test_options_add_up_and_a_whole_mapping_replaces_them() -> None:
    run = TINY.changed({"evaluation.max_dets": 300})
    run = run.changed({"evaluation.classes": ["square", "disc"]})
    assert run.evaluation == Evaluation(max_dets=300, classes=("disc", "square"))
    assert run.changed({"evaluation": {"areas": AREAS}}).evaluation == Evaluation(
        areas=Areas(small=(0.0, 400.0), medium=(400.0, 900.0), large=(900.0, 5e4))
    )


def test_a_command_line_sets_them() -> None:
    settings = parse_settings(["evaluation.max_dets=300", "evaluation.classes=[ring]"])
    assert apply_settings(TINY, settings).evaluation.changes == {
        "max_dets": 300,
        "classes": ["ring"],
    }
    with pytest.raises(SpecError, match=r"--set evaluation.max_det: .*did you mean 'max_dets'"):
        apply_settings(TINY, {"evaluation.max_det": 3})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (300, "expected options such as {max_dets: 300}, got 300"),
        (None, "expected options such as"),
        ({"max_dets": 0}, "max_dets: expected a whole number from 1 to .*, got 0"),
        ({"max_dets": 10**6}, "max_dets: expected a whole number .*, got 1000000"),
        ({"max_dets": 3.0}, "max_dets: expected a whole number .*, got 3.0"),
        ({"max_dets": True}, "max_dets: expected a whole number .*, got True"),
        ({"max_dets": float("inf")}, "max_dets: expected a whole number .*, got inf"),
        ({"iou": [0.5]}, "evaluation has no option 'iou'; available: areas, classes, max_dets"),
        ({"areas": {"small": [0, 5]}}, "areas: expected all three ranges, such as {small: "),
        ({"areas": {**AREAS, "tiny": [0, 5]}}, "areas: expected all three ranges"),
        ({"areas": [0, 5]}, "areas: expected all three ranges"),
        ({"areas": {**AREAS, "small": [5, 5]}}, r"areas.small: expected \[least, most\] in px²"),
        ({"areas": {**AREAS, "small": [-1, 5]}}, "areas.small: expected"),
        ({"areas": {**AREAS, "large": [1, float("nan")]}}, "areas.large: expected"),
        ({"areas": {**AREAS, "large": [1, float("inf")]}}, "areas.large: expected .* got"),
        ({"areas": {**AREAS, "large": ["1", "2"]}}, "areas.large: expected"),
        ({"areas": {**AREAS, "large": [True, 2]}}, "areas.large: expected"),
        ({"classes": "ring"}, "classes: expected a list of texts, got 'ring'"),
        ({"classes": [1]}, "classes: expected a list of texts"),
        ({"classes": ["ring", "ring"]}, "classes: a class is named twice"),
    ],
)
def test_anything_else_is_refused(value: object, message: str) -> None:
    with pytest.raises(SpecError, match=f"here: {message}"):
        read_evaluation(value, where="here: ")


def test_a_class_that_the_data_do_not_have_is_refused() -> None:
    run = TINY.changed({"evaluation.classes": ["rinq"]})
    message = r"evaluation.classes: no class is named 'rinq' \(did you mean 'ring'\?\)"
    with pytest.raises(SpecError, match=message):
        resolve_architecture(run)


def test_a_limit_that_the_detector_does_not_reach_is_refused() -> None:
    """Below COCO's 100 fewer detections are the detector's own affair."""
    run = TINY.changed({"evaluation.max_dets": 300})
    message = r"max_dets: 300 .* but fast keeps at most 100 .*; write nms.max_detections: 300 too"
    with pytest.raises(SpecError, match=message):
        resolve_architecture(run)
    resolve_architecture(run.changed({"nms.max_detections": 300}))
    resolve_architecture(run.changed({"nms": "cross_class_fast"}))  # which keeps all
    resolve_architecture(TINY.changed({"nms.max_detections": 7}))
    resolve_architecture(TINY.changed({"nms.max_detections": 7, "evaluation.max_dets": 50}))


def test_the_result_of_another_program_is_another_one_with_other_options(tmp_path: Path) -> None:
    (tmp_path / "segm.json").write_text("[]")
    row = External(name="x", entry={"segm": "segm.json"}, folder=tmp_path, where="x")
    digests = {
        row.digest(seed=0, eval_data="e", evaluation=one)
        for one in (COCO_OPTIONS, Evaluation(max_dets=300), Evaluation(classes=("a",)))
    }
    assert len(digests) == 3
    assert row.digest(seed=0, eval_data="e") in digests


SPEC = """\
# Do limits matter?
schema: 1
name: limits
base: yolact_tiny
dataset: shapes
baseline: coco
changes: [evaluation.max_dets]
arms:
  coco: {}
  ten: {evaluation.max_dets: 10}
"""


def test_an_ablation_may_compare_them_if_it_says_so(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(SPEC)
    coco, ten = load(file).arms
    assert ten.run.evaluation == Evaluation(max_dets=10)
    runs = {arm.name: arm.run.as_dict() for arm in (coco, ten)}
    changes = {arm.name: arm.changes for arm in (coco, ten)}
    assert side_effect_lines(runs, changes, "coco") == []

    file.write_text(SPEC.replace("[evaluation.max_dets]", "[nms]"))
    with pytest.raises(SpecError, match=r"ten: differs .* in evaluation.max_dets, which is not"):
        load(file)


def test_a_rehearsal_on_drawn_images_scores_all_their_classes(tmp_path: Path) -> None:
    """Classes of COCO are none of theirs; those of drawn images stay."""
    file = tmp_path / "limits.yaml"
    spec = SPEC.replace("dataset: shapes", "dataset: coco\nset: {evaluation.classes: [person]}")
    file.write_text(spec)
    assert load(file).arms[0].run.evaluation == Evaluation(classes=("person",))
    assert load(file, budget="smoke").arms[1].run.evaluation == Evaluation(max_dets=10)
    file.write_text(spec.replace("dataset: coco", "dataset: shapes").replace("person", "ring"))
    assert load(file, budget="smoke").arms[0].run.evaluation == Evaluation(classes=("ring",))


def test_the_trials_of_a_sweep_are_scored_alike(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "# Which?\nschema: 1\nname: s\nbase: yolact_tiny\ndataset: shapes\ntrials: 2\n"
        "space:\n  evaluation.max_dets: {low: 10, high: 300}\n"
    )
    with pytest.raises(SpecError, match="evaluation cannot vary; write it under set:"):
        load_sweep(file)


def test_the_options_in_words() -> None:
    assert evaluation_text({}) == ""
    changes = read_evaluation(OTHERS).changes
    assert evaluation_text(changes) == (
        "max_dets 300; areas small 0 to 400, medium 400 to 900, large 900 to 50000 px²; "
        "classes disc, square"
    )
    assert crowding_text(1, {}).startswith("1 image has more objects of a class than the 100 ")
    text = crowding_text(2, {"max_dets": 3})
    assert text.startswith("2 images have more objects of a class than the 3 ")
