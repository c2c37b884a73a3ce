"""What a sweep's YAML says, and how it says that something is wrong."""

from pathlib import Path

import pytest

from tests.support.paths import SWEEPS as SWEEP_FILES
from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.identity import identity_of
from yolact_bench.spec.sweep.keys import Objective
from yolact_bench.spec.sweep.space import (
    Components,
    Number,
    ValueList,
    all_params,
    changes_of,
    corners,
    params_of,
)
from yolact_bench.spec.sweep.sweep import load_sweep

SWEEPS = sorted(SWEEP_FILES.glob("*.yaml"))
SPEC = """\
# Which is best?
schema: 1
name: small
base: yolact_tiny
dataset: shapes
set: {image_size: 96}
objectives: {mask_ap: maximise}
trials: 7
space:
  nms:
    fast: {max_iou: {low: 0.3, high: 0.7}, top_k: 100}
    soft: {}
  protonet.k: [4, 8]
  schedule.lr: {low: 1e-4, high: 1e-2, log: true}
"""


def written(folder: Path, text: str = SPEC) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def test_a_spec_says_what_is_objective_and_where(tmp_path: Path) -> None:
    spec = load_sweep(written(tmp_path))

    assert spec.question == "Which is best?"
    assert spec.objectives == (Objective(metric="mask_ap", maximise=True),)
    assert (spec.mode, spec.trials, spec.pruner, spec.sampler) == ("single", 7, "median", "tpe")
    assert spec.space["protonet.k"] == ValueList(values=(4, 8))
    assert spec.space["schedule.lr"] == Number(low=1e-4, high=1e-2, log=True)
    assert spec.run.image_size == 96
    assert spec.trains
    assert not spec.replays


def test_parameters_say_changes_and_changes_say_parameters(tmp_path: Path) -> None:
    space = load_sweep(written(tmp_path)).space
    params = {"nms": "fast", "nms.fast.max_iou": 0.4, "protonet.k": 8, "schedule.lr": 1e-3}

    changes = changes_of(space, params)

    assert changes == {
        "nms": {"name": "fast", "top_k": 100, "max_iou": 0.4},
        "protonet.k": 8,
        "schedule.lr": 1e-3,
    }
    run = {
        "nms": {"name": "fast", "top_k": 100, "max_iou": 0.4, "min_score": 0.05},
        "protonet": {"name": "five_convs", "k": 8},
        "schedule": {"name": "steps", "lr": 1e-3},
    }
    assert params_of(space, run) == params


@pytest.mark.parametrize(
    "change",
    [
        {"nms": {"name": "matrix"}},
        {"nms": {"name": "fast", "max_iou": 0.4, "top_k": 200}},  # given, and another
        {"nms": {"name": "fast", "max_iou": 0.8, "top_k": 100}},
        {"protonet": {"k": 5}},
        {"schedule": {"lr": 1.0}},
        {"schedule": {}},
    ],
)
def test_a_run_outside_the_space_has_no_parameters(
    change: dict[str, object], tmp_path: Path
) -> None:
    run = {"nms": {"name": "soft"}, "protonet": {"k": 4}, "schedule": {"lr": 1e-3}}
    space = load_sweep(written(tmp_path)).space
    assert params_of(space, run) is not None
    assert params_of(space, {**run, **change}) is None


def test_an_option_of_a_component_only_varies_where_it_is_chosen(tmp_path: Path) -> None:
    """fast with three thresholds, soft once; each with two k: (3 + 1) · 2."""
    text = SPEC.replace("{low: 0.3, high: 0.7}", "{low: 0.3, high: 0.7, step: 0.2}")
    text = text.replace("schedule.lr: {low: 1e-4, high: 1e-2, log: true}", "nms.min_score: [0.1]")
    space = load_sweep(written(tmp_path, text)).space

    sets = list(all_params(space) or ())

    assert len(sets) == 8
    assert [s for s in sets if s["nms"] == "soft" and "nms.fast.max_iou" in s] == []
    thresholds = {s["nms.fast.max_iou"] for s in sets if s["nms"] == "fast"}
    assert sorted(thresholds) == pytest.approx([0.3, 0.5, 0.7])


def test_a_space_with_a_range_of_numbers_has_no_end(tmp_path: Path) -> None:
    assert all_params(load_sweep(written(tmp_path)).space) is None


def test_a_space_is_counted_before_it_is_listed() -> None:
    """Of 10^9 + 1 whole numbers, or of 1,001 · 1,001 pairs, above a million."""
    whole = Number(low=0, high=10**9)
    assert whole.values is None
    assert whole.holds(10**9)
    assert not whole.holds(2.5)
    assert not whole.holds(10**9 + 10)
    thousand = Number(low=0, high=1000)
    assert all_params({"a.x": thousand, "a.y": thousand}) is None
    options = {"c": {"x": thousand, "y": thousand}}
    assert all_params({"a": Components(options=options, fixed={"c": {}})}) is None
    assert len(list(all_params({"a.x": thousand, "a.y": ValueList(values=(1, 2))}) or ())) == 2002


@pytest.mark.parametrize("end", ["low: 0, high: .inf", "low: -.inf, high: 1", "low: .nan, high: 1"])
def test_a_range_is_finite(tmp_path: Path, end: str) -> None:
    text = SPEC.replace("{low: 0.3, high: 0.7}", f"{{{end}}}")
    with pytest.raises(
        SpecError, match=r"space\.\S+: expected a number from -1,000,000,000 to 1,000,000,000, got "
    ):
        load_sweep(written(tmp_path, text))


def test_a_range_in_steps_holds_its_steps_alone() -> None:
    """0.1 + 2 · 0.1 is not quite 0.3."""
    tenths = Number(low=0.1, high=0.3, step=0.1)
    assert [tenths.holds(value) for value in (0.1, 0.2, 0.3, 0.1 + 2 * 0.1)] == [True] * 4
    wrong = (0.0, 0.15, 0.4, float("nan"), float("inf"), True, "0.1")
    assert [tenths.holds(value) for value in wrong] == [False] * 7


def test_every_component_and_both_ends_are_a_border(tmp_path: Path) -> None:
    found = [changes for _, changes in corners(load_sweep(written(tmp_path)).space)]

    assert {"nms": {"name": "fast", "top_k": 100, "max_iou": 0.7}} in found
    assert {"nms": {"name": "soft"}} in found
    assert {"schedule.lr": 1e-4} in found
    assert {"schedule.lr": 1e-2} in found


def test_lists_and_mappings_are_values_too(tmp_path: Path) -> None:
    text = SPEC.replace("protonet.k: [4, 8]", "anchors.scales: [[8, 16], [9, 17]]")
    space = load_sweep(written(tmp_path, text)).space
    (first, _) = space["anchors.scales"].stored  # type: ignore[union-attr]
    params = {"nms": "soft", "anchors.scales": first, "schedule.lr": 1e-3}

    assert changes_of(space, params)["anchors.scales"] == [8, 16]


@pytest.mark.parametrize(
    ("before", "after", "where", "words"),
    [
        ("trials: 7", "trails: 7", ":8: trails", "did you mean 'trials'"),
        ("trials: 7", "trials: 0", ":8: trials", "from 1 to 100,000"),
        ("mask_ap: max", "mask_pa: max", ":7: objectives.mask_pa", "did you mean 'mask_ap'"),
        ("maximise", "more", ":7: objectives.mask_ap", "maximise or minimise"),
        ("mask_ap: maximise", "latency_ms: minimise", ":7:", "detects nothing"),
        ("mask_ap: maximise", "macs: minimise", ":7: objectives.macs", "detects nothing"),
        (
            "{mask_ap: maximise}",
            "{parameters: minimise, latency_ms: minimise}\nmode: pareto",
            ":7: objectives.parameters",
            "without an accuracy",
        ),
        ("trials: 7", "validate_every: -1", ":8: validate_every", "from 0 to 1,000,000,000"),
        ("protonet.k", "protonett.k", ":13: space.protonett.k", "did you mean 'protonet'"),
        ("[4, 8]", "[4, 4]", ":13: space.protonet.k", "twice"),
        ("[4, 8]", "4", ":13: space.protonet.k", "expected a list"),
        ("low: 1e-4, high: 1e-2", "low: 0.1, high: 0.01", ":14:", "low must be below high"),
        ("low: 1e-4,", "low: 0,", ":14: space.schedule.lr", "write low above 0"),
        ("log: true", "lg: true", ":14: space.schedule.lr.lg", "did you mean 'log'"),
        ("trials: 7", "mode: paretto", ":8: mode", "did you mean 'pareto'"),
        ("trials: 7", "mode: pareto", ":7: objectives", "two or more"),
        ("trials: 7", "mode: budget", ":8: mode", "budget_ms"),
        ("trials: 7", "sampler: tpee", ":8: sampler", "did you mean 'tpe'"),
        ("trials: 7", "pruner: mean", ":8: pruner", "did you mean 'median'"),
        ("protonet.k: [4, 8]", "seed: [0, 1]", ":13: space.seed", "cannot vary"),
        ("base: yolact_tiny", "base: yolact_tine", ":4: base", "did you mean 'yolact_tiny'"),
    ],
)
def test_a_mistake_is_reported_with_its_line(
    before: str, after: str, where: str, words: str, tmp_path: Path
) -> None:
    assert before in SPEC
    with pytest.raises(SpecError) as raised:
        load_sweep(written(tmp_path, SPEC.replace(before, after, 1)))
    assert where in str(raised.value)
    assert words in str(raised.value)


def test_what_makes_trials_comparable_is_known_by_name(tmp_path: Path) -> None:
    spec = identity_of(load_sweep(written(tmp_path)))

    more = identity_of(load_sweep(written(tmp_path, SPEC.replace("trials: 7", "trials: 70"))))
    other = identity_of(load_sweep(written(tmp_path, SPEC.replace("[4, 8]", "[4, 8, 16]"))))

    assert more == spec
    assert [key for key in spec if spec[key] != other[key]] == ["range of protonet.k"]


def test_an_option_beside_components_is_checked_with_each_of_them(tmp_path: Path) -> None:
    text = SPEC.replace("protonet.k: [4, 8]", "nms.top_k: [50, 100]")
    found = [changes for _, changes in corners(load_sweep(written(tmp_path, text)).space)]

    together = [c["nms"]["name"] for c in found if "nms.top_k" in c]  # type: ignore[index]
    assert together == ["fast", "fast", "soft", "soft"]


@pytest.mark.parametrize("objective", ["mask_ap_small: maximise", "mask_ap: minimise"])
def test_only_validated_metrics_can_prune_a_trial(objective: str, tmp_path: Path) -> None:
    text = SPEC.replace("mask_ap: maximise", objective)
    assert load_sweep(written(tmp_path, text)).pruner == "none"
    with pytest.raises(SpecError, match="cannot be pruned"):
        load_sweep(written(tmp_path, f"{text}pruner: median\n"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_states_question_command_cost_and_expectation(path: Path) -> None:
    spec = load_sweep(path)
    header = " ".join(spec.source.header)
    assert spec.question.endswith("?")
    assert f"yolact-bench sweep sweeps/{path.name}" in header
    assert "Cost:" in header
    assert "Expect:" in header
    assert spec.name == path.stem
