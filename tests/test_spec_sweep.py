"""A sweep's YAML: the space it spans, and mistakes told with file, line and key."""

from pathlib import Path

import pytest

from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep import SweepSpec, load_sweep

SPEC = """\
# Which NMS?
schema: 1
name: small
base: yolact_tiny
dataset: shapes
objectives: {mask_ap: maximise}
trials: 7
space:
  nms:
    fast: {max_iou: {low: 0.3, high: 0.7}, top_k: [50, 100]}
    sequential: {grid_px: null}
  nms.min_score: {low: 0.01, high: 0.1, log: true}
"""


def spec(folder: Path, text: str = SPEC) -> SweepSpec:
    path = folder / "small.yaml"
    path.write_text(text)
    return load_sweep(path)


def test_an_option_of_a_component_exists_only_where_it_was_chosen(tmp_path: Path) -> None:
    space = spec(tmp_path).space
    asked: list[str] = []

    def sequential(path: str, domain: object) -> str | float:
        asked.append(path)
        return "sequential" if path == "nms" else 0.02

    params = space.drawn(sequential)

    assert asked == ["nms", "nms.min_score"]
    assert space.changes(params) == {
        "nms": {"name": "sequential", "grid_px": None},
        "nms.min_score": 0.02,
    }


def test_a_slot_is_replaced_whole_and_then_its_shared_options_are_set(tmp_path: Path) -> None:
    params = {"nms": "fast", "nms.fast.max_iou": 0.5, "nms.fast.top_k": 50, "nms.min_score": 0.02}
    nms = spec(tmp_path).run(params).nms
    assert nms == {"name": "fast", "max_iou": 0.5, "top_k": 50, "min_score": 0.02}


def test_probes_show_every_component_value_and_end(tmp_path: Path) -> None:
    """fast: first, other max_iou, other top_k, other min_score; sequential: itself, min_score."""
    probes = list(spec(tmp_path).space.probes())
    assert len(probes) == 6
    seen = {(path, label) for probe in probes for path, label in probe.items()}
    assert {("nms.fast.max_iou", 0.7), ("nms.fast.top_k", 100), ("nms", "sequential")} <= seen
    assert {"nms": "sequential", "nms.min_score": 0.1} in probes


def test_a_finite_space_is_counted_out(tmp_path: Path) -> None:
    """Two top_k of fast and one of sequential, by k of 4, 6 and 8."""
    text = SPEC.replace("max_iou: {low: 0.3, high: 0.7}, ", "")
    text = text.replace("nms.min_score: {low: 0.01, high: 0.1, log: true}",
                        "protonet.k: {low: 4, high: 8, step: 2}")  # fmt: skip
    assignments = spec(tmp_path, text).space.assignments()
    assert assignments is not None
    assert len(list(assignments)) == (2 + 1) * 3
    assert spec(tmp_path).space.assignments() is None


def test_only_a_search_over_detection_replays(tmp_path: Path) -> None:
    assert not spec(tmp_path).trains
    assert spec(tmp_path, SPEC + "  protonet.k: [8, 16]\n").trains


def test_a_run_inside_the_space_has_parameters_and_one_outside_has_none(tmp_path: Path) -> None:
    space = spec(tmp_path).space
    inside = {"name": "fast", "max_iou": 0.5, "top_k": 100, "min_score": 0.05}
    assert space.params_of(lambda slot: inside) == {
        "nms": "fast",
        "nms.fast.max_iou": 0.5,
        "nms.fast.top_k": 100,
        "nms.min_score": 0.05,
    }
    assert space.params_of(lambda slot: {**inside, "top_k": 200}) is None
    assert space.params_of(lambda slot: {"name": "matrix"}) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials: 7", "trial: 7", "small.yaml:7: trial: unknown key (did you mean 'trials'?)"),
        ("mask_ap:", "mask_pa:", "small.yaml:6: objectives.mask_pa: unknown key (did you mean"),
        ("maximise", "up", "objectives.mask_ap: expected maximise or minimise"),
        ("low: 0.3", "low: 0.8", "space.nms.fast.max_iou.low: expected less than high"),
        ("[50, 100]", "[50]", "space.nms.fast.top_k: expected two or more different values"),
        ("  nms:\n", "  nsm:\n", "space.nsm: no slot is named 'nsm' (did you mean 'nms'?)"),
        ("low: 0.01", "low: 0", "space.nms.min_score.low: expected more than 0, as log"),
        ("trials: 7", "mode: pareto", "mode pareto needs two or more"),
        ("trials: 7", "mode: budget", "mode budget needs latency: {budget_ms: …}"),
        ("trials: 7", "sampler: {name: grid}", "grid needs a finite space"),
        ("trials: 7", "pruner: {name: median}", "no trial of this space trains"),
        ("nms.min_score", "nms.max_iou", "space.nms.max_iou: is an option of nms.fast already"),
        ("nms.min_score: {low: 0.01, high: 0.1, log: true}", "seed: [0, 1]", "would not compare"),
        ("{mask_ap: maximise}", "{mask_ap: maximise, macs: minimise}", "for more write mode: par"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SPEC
    with pytest.raises(SpecError) as error:
        spec(tmp_path, SPEC.replace(old, new, 1))
    assert message in str(error.value)


@pytest.mark.parametrize("path", sorted(Path("sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_of_this_repository_says_its_question_and_cost(path: Path) -> None:
    made = load_sweep(path)
    assert made.question.endswith("?")
    assert made.header[1].strip().startswith(f"yolact-bench sweep sweeps/{path.name}")
    assert any(line.startswith("Cost: ") for line in made.header)
    assert any(line.startswith("Expect: ") for line in made.header)
