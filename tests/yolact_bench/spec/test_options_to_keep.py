"""What an arm that swaps a component keeps of the baseline."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import PASCAL_SCALES
from yolact_bench.option_values import check_value
from yolact_bench.resolve import resolve_architecture
from yolact_bench.slots import defaults_of, fact, options_of, types_of
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import apply_settings
from yolact_bench.spec.options_to_keep import keep_nothing, overlay
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.identity import identity_of
from yolact_bench.spec.sweep.space import Params, changes_of, params_of
from yolact_bench.spec.sweep.sweep import load_sweep

HEAD = """\
# Which?
schema: 1
base: yolact_r101
baseline: first
"""


def arms_of(folder: Path, text: str, *, budget: str = "full", **settings: object) -> dict[str, Run]:
    """Arm → resolved run of a spec with these lines below its head."""
    path = folder / "spec.yaml"
    path.write_text(HEAD + text)
    ablation = load(path, settings=settings, budget=budget)
    return {arm.name: resolve_architecture(arm.run, files=False) for arm in ablation.arms}


def second(folder: Path, slot: str, changes: str, first: str = "{}", *, top: str = "") -> Run:
    arms = f"arms:\n  first: {first}\n  second: {changes}\n"
    return arms_of(folder, f"changes: [{slot}]\n{top}{arms}")["second"]


PASCAL = list(PASCAL_SCALES)


def default(slot: str, name: str, option: str) -> object:
    return defaults_of(components(slot)[name])[option]


@pytest.mark.parametrize(
    ("slot", "name", "option", "baseline", "value"),
    [
        ("augment", "none", "masks", "{augment.masks: prototype_size}", "prototype_size"),
        ("nms", "matrix", "top_k", "{}", default("nms", "fast", "top_k")),
        ("nms", "matrix", "top_k", "{nms.top_k: 50}", 50),
        ("nms", "cross_class_fast", "max_detections", "{}", 100),
        ("schedule", "cosine", "iterations", "{schedule.iterations: 9}", 9),
        (
            "anchors",
            "three_scales",
            "scales",
            "{anchors: pascal}",
            PASCAL,
        ),
        ("class_loss", "focal", "weight", "{class_loss.weight: 2}", 2.0),
        ("runtime", "compiled", "precision", "{runtime.precision: bf16}", "bf16"),
        ("dcn", "every_nth", "first_stage", "{dcn: {name: every_block, first_stage: 2}}", 2),
    ],
)
def test_an_option_of_both_keeps_the_value_of_the_baseline(
    tmp_path: Path, slot: str, name: str, option: str, baseline: str, value: object
) -> None:
    """The default of the baseline's component counts as its value."""
    for choice in (name, f"{{name: {name}}}"):
        run = second(tmp_path, slot, f"{{{slot}: {choice}}}", baseline)
        assert getattr(run, slot)[option] == value


def test_a_choice_of_the_same_component_changes_what_it_writes(tmp_path: Path) -> None:
    run = second(tmp_path, "nms", "{nms: {name: fast, max_iou: 0.6}}", "{nms.top_k: 50}")
    assert (run.nms["max_iou"], run.nms["top_k"]) == (0.6, 50)


def test_what_the_arm_writes_counts_in_any_order(tmp_path: Path) -> None:
    for changes in ("{nms: matrix, nms.top_k: 9}", "{nms.top_k: 9, nms: {name: matrix}}"):
        assert second(tmp_path, "nms", changes).nms["top_k"] == 9


def test_the_component_has_its_own_where_the_arm_says_so(tmp_path: Path) -> None:
    """The key is no part of the run: digests are those of the choice with all written out."""
    own = second(tmp_path, "nms", "{nms: {name: matrix, defaults: component}}")
    top_k = default("nms", "matrix", "top_k")
    assert own.nms["top_k"] == top_k
    assert own == second(tmp_path, "nms", f"{{nms: {{name: matrix, top_k: {top_k}}}}}")


def test_defaults_is_one_word(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"second\.nms: nms\.defaults: expected component, got 'x'"):
        second(tmp_path, "nms", "{nms: {name: matrix, defaults: x}}")
    with pytest.raises(SpecError, match=r"nms\.defaults: write it in the choice: nms: "):
        second(tmp_path, "nms", "{nms: matrix, nms.defaults: component}")


def test_a_value_that_the_component_does_not_take_is_refused_with_both_names(
    tmp_path: Path,
) -> None:
    first = "{nms: {name: cross_class_fast, max_detections: null}}"
    with pytest.raises(SpecError) as raised:
        second(tmp_path, "nms", "{nms: fast}", first)
    place, text = f"{tmp_path / 'spec.yaml'}:8: arms.second.nms: ", str(raised.value)
    assert text.startswith(f"{place}nms: fast cannot keep max_detections: null of cross_class_fast")
    assert text.endswith(
        "write nms: {name: fast, max_detections: …}, or defaults: component there for the options "
        "of fast itself"
    )
    changes = "{nms: {name: fast, max_detections: 7}}"
    assert second(tmp_path, "nms", changes, first).nms["max_detections"] == 7


@pytest.mark.parametrize(
    ("slot", "name", "option", "first"),
    [
        ("anchors", "five_ratios", "ratios", "{}"),
        ("anchors", "pascal", "scales", "{}"),
        ("dcn", "last_blocks", "n", "{dcn: {name: every_nth, n: 4}}"),
        ("dcn", "every_nth", "n", "{dcn: {name: last_blocks, n: 13}}"),
        ("rescore_net", "mask_scoring", "channels", "{rescore_net: mask_iou}"),
        ("rescore_net", "mask_iou", "channels", "{rescore_net: mask_scoring}"),
        ("nms", "soft", "max_iou", "{}"),  # without effect on the Gaussian decay
    ],
)
def test_what_a_component_is_named_after_or_means_otherwise_is_its_own(
    tmp_path: Path, slot: str, name: str, option: str, first: str
) -> None:
    run = second(tmp_path, slot, f"{{{slot}: {name}}}", first)
    assert getattr(run, slot)[option] == default(slot, name, option)


def test_an_option_counts_by_what_the_arm_makes_of_it(tmp_path: Path) -> None:
    """The linear decay of soft NMS has a limit on IoU: that of the baseline."""
    assert second(tmp_path, "nms", "{nms: {name: soft, decay: linear}}").nms["max_iou"] == 0.5


def test_what_the_file_sets_is_kept_below_what_the_baseline_has(tmp_path: Path) -> None:
    """`square` is set for one_scale, which the baseline is not; ratios are the baseline's."""
    top = "set: {anchors.square: false, anchors.ratios: [1]}\n"
    first = "{anchors: {name: three_scales, ratios: [2]}}"
    anchors = second(tmp_path, "anchors", "{anchors: one_scale}", first, top=top).anchors
    assert anchors["square"] is False
    assert anchors["ratios"] == [2.0]


def test_set_says_what_the_base_is_and_keeps_nothing(tmp_path: Path) -> None:
    top = "set: {nms: matrix}\n"
    run = second(tmp_path, "protonet", "{protonet.k: 8}", top=top)
    assert run.nms["top_k"] == default("nms", "matrix", "top_k")


def test_a_weight_file_takes_neither_checksum_nor_classes_of_another(tmp_path: Path) -> None:
    first = "{init: {name: checkpoint, file: a.pth, sha256: abc}}"
    run = second(tmp_path, "init", "{init: {name: checkpoint, file: b.pth}}", first)
    assert run.init == {"name": "checkpoint", "file": "b.pth", "sha256": ""}
    first = "{init: {name: detector, file: a.pth, sha256: abc, classes: [a], heads: new}}"
    init = second(tmp_path, "init", "{init: {name: detector, file: b.pth}}", first).init
    assert init == {**init, "file": "b.pth", "sha256": "", "classes": [], "heads": "new"}


def test_a_default_that_follows_the_image_size_is_no_value_to_leave_out(tmp_path: Path) -> None:
    """Of 160 px `grid_px` is 160 unless written, so that the 550 of the baseline is written."""
    top, arm = "set: {image_size: 160}\n", "{nms: {name: sequential, max_iou: 0.6}}"
    for first, grid_px in (("sequential", 160), ("{name: sequential, grid_px: 550}", 550)):
        run = second(tmp_path, "nms", arm, f"{{nms: {first}}}", top=top)
        assert run.nms["grid_px"] == grid_px


def test_grids_budgets_and_the_command_line_keep_options_as_arms_do(tmp_path: Path) -> None:
    grid = "changes: [nms]\ngrid: {nms: [fast, matrix]}\n"
    path = tmp_path / "spec.yaml"
    path.write_text(HEAD.replace("first", "fast") + grid)
    assert [dict(arm.run.nms) for arm in load(path, settings={"nms.top_k": 9}).arms] == [
        {"name": "fast", "top_k": 9},
        {"name": "matrix", "top_k": 9},
    ]
    budgets = "changes: [nms]\nbudgets: {smoke: {nms: matrix}}\n"
    arms = "arms: {first: {}, second: {nms.top_k: 9}}\n"
    runs = arms_of(tmp_path, budgets + arms, budget="smoke")
    assert [run.nms["top_k"] for run in runs.values()] == [200, 9]
    run = apply_settings(preset("yolact_tiny"), {"augment": "none", "nms": "matrix"})
    assert run.augment == {"name": "none", "masks": "prototype_size"}
    assert run.nms == {"name": "matrix", "top_k": 200}
    own: Mapping[str, object] = {"nms": {"name": "matrix", "defaults": "component"}}
    assert apply_settings(preset("yolact_tiny"), own).nms == {"name": "matrix"}


def test_choices_can_be_written_so_that_they_keep_nothing() -> None:
    changes = {"nms": "matrix", "precision": "bf16", "nms.top_k": 9, "dataset": {"name": "coco"}}
    assert keep_nothing(changes) == {
        **changes,
        "nms": {"name": "matrix", "defaults": "component"},
    }
    assert overlay({"nms.max_iou": 0.6, "protonet.k": 8}, {"nms": "matrix"}) == {
        "protonet.k": 8,
        "nms": "matrix",
    }


@pytest.mark.parametrize("slot", OWN)
def test_no_default_of_a_component_is_refused_by_another(slot: str) -> None:
    """But one: no limit on detections, which `cross_class_fast` alone can have."""
    table = components(slot)
    refused = set()
    for giver in table.values():
        for name, taker in table.items():
            for option, value in defaults_of(giver).items():
                if option in options_of(taker) and option not in (fact(taker, "own") or ()):
                    try:
                        check_value(types_of(taker)[option], value)  # type: ignore[arg-type]
                    except SpecError:
                        refused.add((name, option))
    others = {(name, "max_detections") for name in table if name != "cross_class_fast"}
    assert refused == (others if slot == "nms" else set())


SWEEP = """\
# Which is best?
schema: 1
base: yolact_tiny
dataset: shapes
set: {nms.top_k: 50, image_size: 96}
space:
  nms:
    fast: {}
    matrix: {sigma: [0.3, 0.5]}
    soft: {defaults: component}
  nms.max_detections: [20, 100]
"""


def test_trials_keep_the_options_of_the_base_of_their_sweep(tmp_path: Path) -> None:
    """What each keeps is part of the study, which is not continued with other values."""
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    spec = load_sweep(path)
    params: Params = {"nms": "matrix", "nms.matrix.sigma": 0.3, "nms.max_detections": 20}
    changes = changes_of(spec.space, params)
    choice = {"name": "matrix", "sigma": 0.3, "top_k": 50}
    assert spec.changed(changes).nms == {**choice, "max_detections": 20}
    assert spec.spelt_out(changes) == {"nms": choice, "nms.max_detections": 20}
    assert params_of(spec.space, spec.changed(changes).as_dict()) == params
    soft = {"nms": "soft", "nms.max_detections": 20}
    own = changes_of(spec.space, soft)
    assert spec.changed(own).nms == {"name": "soft", "max_detections": 20}
    assert params_of(spec.space, spec.changed(own).as_dict()) == soft
    kept = "kept options of nms"
    assert identity_of(spec)[kept] == "{'fast': {'top_k': 50}, 'matrix': {'top_k': 50}}"
    path.write_text(SWEEP.replace("nms.top_k: 50, ", "").replace("sigma:", "top_k: 9, sigma:"))
    assert kept not in identity_of(load_sweep(path))


def test_settings_of_a_sweep_say_all_that_a_command_must_write(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    spec = load_sweep(path, settings={"nms": "cluster", "augment": "none"})
    assert spec.settings == {
        "image_size": 96,
        "nms": {"name": "cluster", "top_k": 50},
        "augment": {"name": "none", "masks": "prototype_size"},
    }
    again = apply_settings(preset("yolact_tiny"), keep_nothing(spec.settings))
    assert (again.nms, again.augment) == (spec.run.nms, spec.run.augment)


@pytest.mark.parametrize("slot", OWN)
def test_files_are_not_handed_on(slot: str) -> None:
    """Weights of a backbone are not those of a detector."""
    for component in components(slot).values():
        of_files = {"file", "sha256"} & options_of(component).keys()
        assert of_files <= set(fact(component, "own") or ())
