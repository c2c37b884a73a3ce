"""Budgets, an arm's own seed, and the mistakes that only a whole spec shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runners.planning.arm_checks import check_arms
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.catalog import components
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.slots import defaults_of, options_of, pick
from yolact_bench.spec.ablation import Ablation, load
from yolact_bench.spec.budget import apply_budget, smoke_sides
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run

AA = """\
# Is a twin different?
schema: 1
base: yolact_tiny
baseline: one
changes: [seed]
seeds: [0, 1, 2]
expect: ["mask_ap[one] >= 30"]
arms:
  one: {}
  twin: {seed: 100}
"""


def loaded(folder: Path, text: str, *, budget: str = "full") -> Ablation:
    return load(write_spec(folder, text), budget=budget)


def smoke(run: Run) -> Run:
    return apply_budget(run, "smoke", sides=smoke_sides([run.image_size]))


def required(slot: str, name: str) -> dict[str, object]:
    """Values for the options of a component that have no default."""
    missing = options_of(components(slot)[name]).keys() - defaults_of(components(slot)[name]).keys()
    return {option: [[[24.0, 48.0]]] * 5 for option in missing}


@pytest.mark.parametrize("name", sorted(components("schedule")))
def test_a_short_run_has_a_tenth_of_every_schedule_as_its_component_has_it(name: str) -> None:
    """Nothing is written out, so the length is the default of the signature."""
    run = replace(PRESETS["yolact_r101"], schedule={"name": name})
    short = apply_budget(run, "short", sides={})
    long, brief = (pick("schedule", components("schedule"), r.schedule)() for r in (run, short))
    assert brief.iterations == long.iterations // 10
    assert short.schedule["warmup"] == 50


@pytest.mark.parametrize("name", sorted(components("schedule")))
def test_a_smoke_run_has_two_iterations_of_every_schedule(name: str) -> None:
    schedule = smoke(replace(PRESETS["yolact_r101"], schedule={"name": name})).schedule
    assert pick("schedule", components("schedule"), schedule)().iterations == 2


@pytest.mark.parametrize("name", sorted(components("anchors")))
def test_every_anchor_set_shrinks_with_the_image(name: str) -> None:
    """From 550 to 65 px, by 65/550; options in pixels have three decimals."""
    run = replace(PRESETS["yolact_r101"], anchors={"name": name, **required("anchors", name)})
    whole, small = (pick("anchors", components("anchors"), r.anchors)() for r in (run, smoke(run)))
    assert np.array(small) == pytest.approx(np.array(whole) * 65 / 550, abs=2e-3)


def test_a_component_that_does_not_state_its_lengths_is_refused_under_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silently it would run at full length, marked as a proxy."""

    def plain(*, iterations: int = 1000) -> None: ...

    monkeypatch.setitem(components("schedule"), "plain", plain)  # type: ignore[arg-type]
    monkeypatch.setitem(components("anchors"), "plain", plain)  # type: ignore[arg-type]
    run = replace(PRESETS["yolact_r101"], schedule={"name": "plain"})
    for budget in ("short", "smoke"):
        with pytest.raises(SpecError, match=r"schedule: .*plain .*'lengths'; write @with_facts"):
            apply_budget(run, budget, sides={550: 65})
    anchors = replace(PRESETS["yolact_r101"], anchors={"name": "plain"})
    with pytest.raises(SpecError, match=r"anchors: .*plain .*'pixels'"):
        smoke(anchors)


def test_an_unknown_name_is_left_to_the_check_of_the_run() -> None:
    run = replace(PRESETS["yolact_r101"], schedule={"name": "stesp", "iterations": 100})
    assert apply_budget(run, "short", sides={}) == run


def test_sizes_shrink_by_one_factor_and_stay_apart() -> None:
    """400 px become 65: 550 · 65/400 = 89.4 and 700 · 65/400 = 113.75; 401 would be 65.2."""
    assert smoke_sides([550, 400, 700]) == {400: 65, 550: 89, 700: 114}
    assert smoke_sides([400, 401, 402]) == {400: 65, 401: 66, 402: 67}
    assert smoke_sides([65]) == {65: 65}


def test_anchors_shrink_with_the_image_whether_written_out_or_not() -> None:
    """24 · 65/550 = 2.836 px; the Pascal anchors are a third larger, 32 · 65/550 = 3.782."""
    run = PRESETS["yolact_r101"]
    assert smoke(run).anchors["scales"][0] == 2.836  # type: ignore[index]
    silent = replace(run, anchors={"name": "five_ratios"})
    assert smoke(silent).anchors["scales"][0] == 2.836  # type: ignore[index]
    assert smoke(PRESETS["yolact_r50_sbd"]).anchors["scales"][0] == 3.782  # type: ignore[index]
    free = replace(run, anchors={"name": "free", "sizes": [[[55, 110]]]})
    assert smoke(free).anchors["sizes"] == [[[6.5, 13.0]]]


def test_a_drawn_data_set_keeps_its_seed_in_a_smoke_run() -> None:
    run = replace(PRESETS["yolact_tiny"], dataset={"name": "shapes", "seed": 3, "val_draw": 1})
    assert smoke(run).dataset == {
        "name": "shapes",
        "seed": 3,
        "val_draw": 1,
        "train_images": 4,
        "val_images": 2,
        "size": 96,
    }


def test_a_short_run_has_a_tenth_of_every_length_and_the_same_rates() -> None:
    run = PRESETS["yolact_r101"]
    short = apply_budget(run, "short", sides={})
    assert short.schedule == {
        **run.schedule,
        "iterations": 80_000,
        "steps": [28_000, 60_000, 70_000, 75_000],
        "warmup": 50,  # the component's own 500, which the preset does not write out
    }
    assert replace(short, schedule=run.schedule) == run
    unwarmed = replace(run, schedule={"name": "cosine", "iterations": 25, "warmup": 0})
    assert apply_budget(unwarmed, "short", sides={}).schedule == {
        "name": "cosine",
        "iterations": 2,
        "warmup": 0,
    }


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_proxy_is_never_mistaken_for_the_real_run(name: str) -> None:
    digests = set()
    for budget in ("smoke", "short", "full"):
        run = PRESETS[name]
        proxy = apply_budget(run, budget, sides=smoke_sides([run.image_size]))
        digests.add(resolve_architecture(proxy).train_digest)
    assert len(digests) == 3
    assert apply_budget(PRESETS[name], "full", sides={}) == PRESETS[name]


def test_a_smoke_run_has_one_seed_no_expectation_and_a_report_of_its_own(tmp_path: Path) -> None:
    quick, full = loaded(tmp_path, AA, budget="smoke"), loaded(tmp_path, AA)
    assert (quick.name, quick.seeds, quick.expect) == ("small-smoke", (0,), ())
    assert (full.name, full.seeds, len(full.expect)) == ("small", (0, 1, 2), 1)
    short = loaded(tmp_path, AA, budget="short")
    assert (short.name, short.seeds, short.expect) == ("small-short", (0, 1, 2), full.expect)


def test_a_spec_may_say_what_a_budget_is(tmp_path: Path) -> None:
    text = AA + "budgets:\n  short: {schedule.iterations: 300}\n"
    short = loaded(tmp_path, text, budget="short").arms[0].run.schedule
    assert (short["iterations"], short["warmup"]) == (300, 3)
    assert loaded(tmp_path, text).arms[0].run == PRESETS["yolact_tiny"]


@pytest.mark.parametrize(
    ("text", "budget", "message"),
    [
        (AA, "smoek", "did you mean 'smoke'"),
        (AA + "budgets: {shrot: {}}\n", "full", r"small\.yaml:11: budgets\.shrot: unknown key"),
        (AA + "budgets:\n  short: {shedule.lr: 1}\n", "full", r"small\.yaml:12: .*'schedule'"),
        (AA.replace("[seed]", "[seed, nms]"), "full", r"small\.yaml:5: changes: nms is declared"),
        (
            AA.replace("[seed]", "[seed, protonet.k]"),
            "full",
            r"protonet\.k is declared, but no arm differs",
        ),
    ],
)
def test_a_mistake_about_budgets_or_factors_is_reported(
    tmp_path: Path, text: str, budget: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        loaded(tmp_path, text, budget=budget)


def test_an_arms_own_seed_is_added_to_those_of_the_ablation(tmp_path: Path) -> None:
    plan = plan_spec(write_spec(tmp_path, AA), context(tmp_path / "work"))
    seeds = [(s.unit.arm, s.unit.seed, s.unit.run.seed) for s in plan.steps]
    assert seeds == [
        ("one", 0, 0),
        ("one", 1, 1),
        ("one", 2, 2),
        ("twin", 0, 100),
        ("twin", 1, 101),
        ("twin", 2, 102),
    ]
    assert plan.trainings == 6
    check_arms(plan.ablation)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("twin: {seed: 100}", "twin: {seed: 100}\n  again: {}", "arms.again: is the same run as"),
        ("twin: {seed: 100}", "twin: {seed: 1}", "with seed 0 is the run of 'one' with seed 1"),
    ],
)
def test_one_run_under_two_names_is_a_mistake(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        check_arms(loaded(tmp_path, AA.replace(old, new)))


def test_an_option_at_its_default_makes_no_other_run(tmp_path: Path) -> None:
    text = AA.replace("[seed]", "[seed, schedule.momentum]")
    text += "  as_ever: {seed: 100, schedule.momentum: 0.9}\n"
    with pytest.raises(SpecError, match=r"as_ever: is the same run as 'twin'"):
        check_arms(loaded(tmp_path, text))


NINES = "{name: pascal, scales: [9, 9, 9, 9, 9]}"  # of three true ratios, as one_scale


@pytest.mark.parametrize(
    ("slot", "choice", "twin"),
    [
        ("dcn", "{name: every_block}", "{name: every_nth, n: 1}"),
        ("dcn", "{name: every_nth, n: 2}", "{name: every_nth, n: 3}"),  # two blocks a stage
        ("dcn", "{name: last_blocks, n: 6}", "{name: every_block}"),
        ("dcn", "{name: nowhere}", "{name: every_block, first_stage: 4}"),
        ("deform", "{name: torchvision}", "{name: gather}"),  # no layer is deformable
        ("batch_norm", "{name: auto}", "{name: train}"),  # eight images
        ("anchors", "{name: one_scale, square: false, scales: [9, 9, 9, 9, 9]}", NINES),
        ("nms", "{name: soft, decay: linear}", "{name: soft, decay: linear, sigma: 0.5}"),
    ],
)
def test_two_choices_that_come_to_the_same_are_one_run(
    tmp_path: Path, slot: str, choice: str, twin: str
) -> None:
    text = AA.replace("[seed]", f"[seed, {slot}]")
    text += f"  plain: {{seed: 200, {slot}: {choice}}}\n  same: {{seed: 200, {slot}: {twin}}}\n"
    with pytest.raises(SpecError, match=r"arms\.same: is the same run as 'plain', as no diff"):
        check_arms(loaded(tmp_path, text))


def test_a_deformable_layer_has_an_implementation_that_counts(tmp_path: Path) -> None:
    text = AA.replace("[seed]", "[seed, deform]").replace("base:", "set: {dcn: every_block}\nbase:")
    check_arms(loaded(tmp_path, text + "  other: {deform: gather}\n"))


def test_arms_that_a_budget_makes_equal_are_no_mistake(tmp_path: Path) -> None:
    text = SPEC.replace("schedule.lr]", "schedule.lr, schedule.iterations]")
    text += "  longer: {protonet.k: 4, schedule.lr: 0.001, schedule.iterations: 4}\n"
    at = context(tmp_path / "work")
    plan = plan_spec(write_spec(tmp_path, text), at)
    assert plan.trainings == 3
    check_arms(loaded(tmp_path, text, budget="smoke"))


def test_a_backbone_without_imagenet_weights_is_reported_before_anything_trains(
    tmp_path: Path,
) -> None:
    text = AA.replace("yolact_tiny", "yolact_darknet53")
    with pytest.raises(SpecError, match=r"arms\.one: init: imagenet has no weights for darknet53"):
        check_arms(loaded(tmp_path, text))


def test_weights_that_are_not_here_are_no_mistake_of_a_spec(tmp_path: Path) -> None:
    weights = "base: yolact_darknet53\nset: {init: {name: checkpoint, file: nowhere.pth}}"
    check_arms(loaded(tmp_path, AA.replace("base: yolact_tiny", weights)))
