"""Result files as anything may have written them: scored, or refused in one message."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.arms.external.results import FACTS_FILE, adopt, read_facts
from runners.evaluation.coco import detections
from runners.evaluation.coco.score import SCORING
from runners.evaluation.error_types import error_gains
from runners.evaluation.files import META_FILE, PredictionKey, holds_masks_as_written
from runners.evaluation.score import score_predictions
from tests.cases.base_set import BOXES, SIZE, base_content, write_base
from tests.cases.test_images import open_split
from yolact_bench.data import Dataset
from yolact_bench.errors import SpecError

HEIGHT, WIDTH = SIZE
KEY = PredictionKey("d", "files", 6)

NUMBERS = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([HEIGHT * WIDTH, 2**31, 2**32, 2**40, -(2**63), 10**400, 1e300, -1e9, 1e5]),
    st.floats(width=32),
)
ODD = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=4))
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
TEXTS = st.text(st.characters(min_codepoint=40, max_codepoint=116), max_size=9) | st.text()
COUNTS = st.one_of(
    TEXTS,
    st.lists(NUMBERS, max_size=5),
    # Nearly right: their sum is that of the image, or one more or less.
    st.integers(0, 3000).map(lambda n: [n, 5, HEIGHT * WIDTH - n - 5]),
    st.integers(0, 3000).map(lambda n: [n, 5, HEIGHT * WIDTH - n - 4]),
)
SIZES = st.sampled_from([[HEIGHT, WIDTH], [WIDTH, HEIGHT], [0, 0], [-1, 3], "x", None, [1e9, 1e9]])
RUNS = st.fixed_dictionaries({"size": SIZES, "counts": COUNTS})
POLYGONS = st.lists(st.lists(NUMBERS | st.floats(-50, 150), max_size=9), max_size=3)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "image_id": st.integers(98, 108) | VALUES,
        "category_id": st.integers(0, 3) | VALUES,
        "score": st.floats(-1, 2) | VALUES,
        "segmentation": RUNS | POLYGONS | VALUES,
        "bbox": st.lists(NUMBERS, min_size=3, max_size=5) | VALUES,
    },
)
CHANGES = st.lists(st.tuples(st.integers(0, 11), ENTRY), max_size=4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_split(write_base(tmp_path_factory.mktemp("base")), "val")


def right_entries() -> list[dict[str, Any]]:
    """Detections equal to the truth, with boxes and masks."""
    names = {1: "a", 2: "b"}
    return [
        {
            "image_id": one["image_id"],
            "category_id": one["category_id"],
            "score": 0.9,
            "bbox": [*BOXES[names[one["category_id"]]]],
            "segmentation": one["segmentation"],
        }
        for one in base_content(first_image=101)["annotations"]
    ]


def check_content(content: object, dataset: Dataset, folder: Path, scoring: str) -> bool:
    """Return whether a file of this content is used; it is refused in one message otherwise."""
    file = folder / "results.json"
    file.write_text(json.dumps(content))
    out = folder / "out"
    for old in out.glob("*"):
        old.unlink()
    try:
        adopt({"segm": file, "bbox": file}, dataset, out, KEY)
    except SpecError as error:
        assert str(error).startswith(str(file))
        assert len(str(error)) < 1200 + len(str(file))
        assert not list(out.glob("*"))
        return False
    scores = score_predictions(dataset, out, scoring=scoring)
    for summary in (scores.box, scores.mask):
        assert summary.ap is not None
        assert 0 <= summary.ap <= 1
    error_gains(dataset.ground_truth(), out / "segm.json", kind="segm")
    return True


def check_changes(
    changes: list[tuple[int, dict[str, Any]]], dataset: Dataset, folder: Path
) -> None:
    """Change some right entries, or put odd ones between them."""
    content: list[Any] = right_entries()
    for place, change in changes:
        content[place] = {**content[place], **change}
    scoring = sorted(SCORING)[len(json.dumps(changes)) % len(SCORING)]
    check_content(content, dataset, folder, scoring)


_COMMON = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=8, deadline=None, suppress_health_check=_COMMON)
@given(changes=CHANGES)
def test_whatever_an_entry_holds_is_scored_or_refused(
    changes: list[tuple[int, dict[str, Any]]], dataset: Dataset, tmp_path: Path
) -> None:
    check_changes(changes, dataset, tmp_path)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=_COMMON)
@given(changes=CHANGES)
def test_a_thousand_odd_files_are_scored_or_refused(
    changes: list[tuple[int, dict[str, Any]]], dataset: Dataset, tmp_path: Path
) -> None:
    check_changes(changes, dataset, tmp_path)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=_COMMON)
@given(content=VALUES | st.lists(VALUES | ENTRY, max_size=3))
def test_whatever_a_file_holds_is_scored_or_refused(
    content: object, dataset: Dataset, tmp_path: Path
) -> None:
    check_content(content, dataset, tmp_path, "pycocotools")


@pytest.mark.parametrize("scoring", SCORING)
def test_odd_scores_and_unusual_shapes_are_used(
    scoring: str, dataset: Dataset, tmp_path: Path
) -> None:
    """Scores rank, whatever their range; boxes may leave the image; a mask may be empty."""
    content = right_entries()
    content[0]["score"], content[1]["score"] = -3, 1e300
    content[2]["bbox"] = [-5.5, -4, 300.25, 0]
    content[3]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
    assert check_content(content, dataset, tmp_path, scoring)


def test_no_detection_at_all_is_no_mistake(dataset: Dataset, tmp_path: Path) -> None:
    assert check_content([], dataset, tmp_path, "pycocotools")


@pytest.mark.parametrize(
    "counts",
    [
        "0" * 200,
        [0, HEIGHT * WIDTH - 1],
        [2**40, 5],
        [-5, HEIGHT * WIDTH + 5],
        [HEIGHT * WIDTH, 2**32],
    ],
)
def test_stored_predictions_that_were_damaged_are_refused_with_a_remedy(
    counts: object, dataset: Dataset, tmp_path: Path
) -> None:
    """Run lengths of another sum than the image has pixels make pycocotools run forever."""
    assert check_content(right_entries(), dataset, tmp_path, "pycocotools")
    file = tmp_path / "out" / "segm.json"
    stored = json.loads(file.read_text())
    stored[7]["segmentation"]["counts"] = counts
    file.write_text(json.dumps(stored))
    message = r"segm\.json: entry 8: segmentation: .*; if yolact-bench wrote it, delete it"
    for scoring in SCORING:
        with pytest.raises(SpecError, match=message):
            score_predictions(dataset, tmp_path / "out", scoring=scoring)
    with pytest.raises(SpecError, match=message):
        error_gains(dataset.ground_truth(), file, kind="segm")


def test_masks_are_looked_at_one_by_one_unless_they_are_as_written(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the hash in meta.json, which predictions of earlier versions do not have."""
    assert check_content(right_entries(), dataset, tmp_path, "pycocotools")
    out = tmp_path / "out"
    assert holds_masks_as_written(out / "segm.json")
    calls: list[int] = []
    original = detections.run_lengths_of
    monkeypatch.setattr(
        detections, "run_lengths_of", lambda *given: calls.append(1) or original(*given)
    )
    expected = score_predictions(dataset, out)
    assert calls == []
    meta = json.loads((out / META_FILE).read_text())
    del meta["masks_sha256"]
    (out / META_FILE).write_text(json.dumps(meta))
    assert not holds_masks_as_written(out / "segm.json")
    assert score_predictions(dataset, out) == expected
    assert calls == [1]


@pytest.mark.parametrize("content", ["", "[]", '"x"', "{}", '{"boxes_around_masks": 1}', "nul"])
def test_damaged_facts_beside_predictions_are_refused(
    content: str, dataset: Dataset, tmp_path: Path
) -> None:
    assert check_content(right_entries(), dataset, tmp_path, "pycocotools")
    (tmp_path / "out" / FACTS_FILE).write_text(content)
    with pytest.raises(SpecError, match=r"external\.json.*; delete .*out, and run again"):
        read_facts(tmp_path / "out")
