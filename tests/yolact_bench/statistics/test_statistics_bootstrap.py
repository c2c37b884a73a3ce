"""AP on resampled images: pycocotools' own numbers, without matching again."""

from pathlib import Path

import numpy as np
import pytest

from runners.evaluation.coco.score import score
from runners.evaluation.score import resample
from tests.runners.evaluation.coco.test_coco_score import NAMES, by_hand, scene
from tests.support.coco_matches import pack_flags
from yolact_bench.errors import SpecError
from yolact_bench.results.resamples import read_resamples
from yolact_bench.statistics.bootstrap import multiplicities, resampled_ap
from yolact_bench.statistics.matches import (
    AREAS,
    FILES,
    RECALLS,
    Matches,
    load_matches,
    unpack_flags,
)

KINDS = {"box": "bbox", "mask": "segm"}


def matches(tmp_path: Path, truth: dict, results: list[dict], kind: str = "bbox") -> Matches:
    score(truth, results, kind=kind, class_names=NAMES, save_matches=tmp_path / "matches.npz")
    return load_matches(tmp_path / "matches.npz")


def expected(truth: dict, results: list[dict], kind: str = "bbox") -> dict[str, list[float]]:
    """COCO's AP at each IoU threshold, per range of sizes; -1 where there is no ground truth."""
    precision = by_hand(truth, results, kind).eval["precision"][..., 2]  # [T, R, K, A]
    return {
        area: [
            float(values[values > -1].mean()) if (values > -1).any() else -1.0
            for values in precision[:, :, :, column]
        ]
        for column, area in enumerate(AREAS)
    }


def once(num_images: int) -> np.ndarray:
    return np.ones((1, num_images), np.int32)


def assert_same(found: np.ndarray, wanted: list[float]) -> None:
    np.testing.assert_allclose(np.nan_to_num(found, nan=-1.0), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_image_once_gives_pycocotools_numbers(tmp_path: Path, kind: str) -> None:
    """With a crowd, a class without truth, and equal scores: 384 detections on 11 scores."""
    truth, boxes, masks = scene()
    results = [
        {**one, "score": round(one["score"], 1)} for one in (boxes if kind == "bbox" else masks)
    ]
    found = matches(tmp_path, truth, results, kind)
    wanted = expected(truth, results, kind)
    assert found.ignored[0].any()  # the crowd took some
    for area in AREAS:
        assert_same(resampled_ap(found, once(12), area=area)[0], wanted[area])
    assert 0.3 < wanted["all"][0] < 0.9


def test_images_without_detections_and_classes_without_truth_count_as_coco_counts_them(
    tmp_path: Path,
) -> None:
    """Image 100 loses its detections, "square" its truth, "disc" its small and medium objects."""
    truth, boxes, _ = scene()
    truth["annotations"] = [
        one
        for one in truth["annotations"]
        if one["category_id"] == 3 and one["area"] > 96**2 and one["image_id"] != 101
    ]
    boxes = [one for one in boxes if one["image_id"] != 100]
    found = matches(tmp_path, truth, boxes)
    wanted = expected(truth, boxes)
    assert wanted["small"] == wanted["medium"] == [-1.0] * 10
    for area in AREAS:
        assert_same(resampled_ap(found, once(12), area=area)[0], wanted[area])


def test_no_detections_score_zero(tmp_path: Path) -> None:
    found = matches(tmp_path, scene()[0], [])
    assert resampled_ap(found, once(12)).tolist() == [[0.0] * 10]


def replicate(truth: dict, results: list[dict], counts: np.ndarray) -> tuple[dict, list[dict]]:
    """The data set in which image i is really there counts[i] times, under ids of its own."""
    images, annotations, found = [], [], []
    for image, count in zip(truth["images"], counts, strict=True):
        for _ in range(count):
            number = len(images) + 1
            images.append({**image, "id": number})
            for one in truth["annotations"]:
                if one["image_id"] == image["id"]:
                    annotations.append({**one, "id": len(annotations) + 1, "image_id": number})
            found += [
                {**one, "image_id": number} for one in results if one["image_id"] == image["id"]
            ]
    return {**truth, "images": images, "annotations": annotations}, found


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_image_drawn_twice_counts_as_an_image_that_is_there_twice(
    tmp_path: Path, kind: str
) -> None:
    """Against pycocotools on really replicated images; different scores within an image."""
    truth, boxes, masks = scene(num_images=6)
    results = boxes if kind == "bbox" else masks
    assert len({one["score"] for one in results}) == len(results)
    drawn = multiplicities("any", num_images=6, replicates=8)
    assert drawn.max() > 2
    found = matches(tmp_path, truth, results, kind)
    by_area = {area: resampled_ap(found, drawn, area=area) for area in AREAS}
    for row, counts in enumerate(drawn):
        wanted = expected(*replicate(truth, results, counts), kind)
        for area in AREAS:
            assert_same(by_area[area][row], wanted[area])


def test_equal_scores_of_different_images_rank_by_image_also_when_drawn_twice(
    tmp_path: Path,
) -> None:
    truth, boxes, _ = scene(num_images=6)
    seen: set[tuple[object, object]] = set()
    some = []
    for one in boxes:  # one detection an image and class, so no equal scores within one
        if (key := (one["image_id"], one["category_id"])) not in seen:
            seen.add(key)
            some.append({**one, "score": 0.5})
    drawn = multiplicities("ties", num_images=6, replicates=8)
    found = resampled_ap(matches(tmp_path, truth, some), drawn)
    for row, counts in enumerate(drawn):
        assert_same(found[row], expected(*replicate(truth, some, counts))["all"])


def one_class(images: list[int], matched: list[bool], objects: dict[int, int]) -> Matches:
    """One class, detections in order of score, matched at every IoU threshold or at none."""
    flags = pack_flags(np.tile(np.array(matched), (10, 1)))
    return Matches(
        num_images=max(objects) + 1,
        num_classes=1,
        image=np.array(images, np.int32),
        label=np.zeros(len(images), np.int16),
        score=-np.arange(len(images), dtype=np.float64),
        matched=np.stack([flags] * 4),
        ignored=np.zeros((4, len(images)), np.uint16),
        truth_image=np.array(list(objects), np.int32),
        truth_label=np.zeros(len(objects), np.int16),
        truth_count=np.tile(np.array(list(objects.values()), np.int32), (4, 1)),
    )


def test_ap_of_three_detections_by_hand() -> None:
    """Found, false, found, of two objects: precision 1 up to recall 1/2, then 2/3.

    51 of the 101 recall levels are at most 1/2, so AP = (51 + 50 · 2/3) / 101. With the false
    alarm's image drawn three times precision ends at 2/5; with it never drawn AP is 1.
    """
    found = one_class([0, 1, 2], [True, False, True], {0: 1, 2: 1})
    drawn = np.array([[1, 1, 1], [1, 3, 1], [1, 0, 1]], np.int32)
    wanted = [(51 + 50 * 2 / 3) / 101, (51 + 50 * 2 / 5) / 101, 1.0]
    np.testing.assert_allclose(resampled_ap(found, drawn)[:, 0], wanted, rtol=0, atol=1e-15)


def test_a_resample_without_any_object_has_no_ap() -> None:
    found = one_class([0, 1], [True, False], {0: 1, 1: 0})
    ap = resampled_ap(found, np.array([[0, 2], [2, 0]], np.int32))
    assert np.isnan(ap[0]).all()
    assert (ap[1] == 1.0).all()


@pytest.mark.parametrize("num_truths", [1, 3, 7, 57, 99, 100, 101, 200, 300, 1000])
def test_recall_levels_are_reached_where_searchsorted_says(num_truths: int) -> None:
    """Every recall m / n against the levels, as floats compare: the first m objects are found."""
    from yolact_bench.statistics.bootstrap import _levels_reached  # the one exact place

    levels = _levels_reached(np.array([num_truths], np.int32))[0]
    for found in range(1, num_truths + 1):
        assert levels[found] == np.sum(found / num_truths >= RECALLS), found


def test_resamples_depend_on_the_data_alone_and_draw_as_many_images_as_there_are() -> None:
    drawn = multiplicities("fingerprint", num_images=50, replicates=400)
    assert (drawn == multiplicities("fingerprint", num_images=50, replicates=400)).all()
    assert (drawn != multiplicities("other", num_images=50, replicates=400)).any()
    assert (drawn.sum(axis=1) == 50).all()
    # A count has variance 1 - 1/50; over 400 · 50 of them its mean is off by 1 % or so.
    assert drawn.var() == pytest.approx(0.98, abs=0.05)
    assert abs(drawn.mean(axis=0) - 1).max() < 5 / np.sqrt(400)


def test_the_draws_never_change() -> None:
    """Stored results of years ago are paired with new ones: the first counts, for good.

    From PCG64, seeded with SHA-256 of "data\\n5\\n2": the upper 32 bits of five raw draws are
    multiplied by 5, and the upper 32 bits of that are the images. Recorded once, to stay.
    """
    assert multiplicities("data", num_images=5, replicates=2).tolist() == [
        [0, 1, 1, 2, 1],
        [1, 1, 0, 3, 0],
    ]


def test_flags_survive_packing() -> None:
    flags = np.random.default_rng(0).random((10, 33)) < 0.5
    assert (unpack_flags(pack_flags(flags)) == flags).all()
    assert pack_flags(np.eye(10, dtype=bool)).tolist() == [2**bit for bit in range(10)]


def evaluate(folder: Path, num_images: int = 12) -> None:
    truth, boxes, masks = scene(num_images)
    for kind, results in (("box", boxes), ("mask", masks)):
        file = folder / FILES[kind]
        score(truth, results, kind=KINDS[kind], class_names=NAMES, save_matches=file)


def test_resamples_of_a_folder_hold_every_metric_of_both_kinds(tmp_path: Path) -> None:
    evaluate(tmp_path)
    out = tmp_path / "resamples" / "digest.npz"
    resample(tmp_path, out, eval_data="data", replicates=20, areas=True)

    found, _ = read_resamples(out)
    per_kind = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    assert set(found) == {f"{kind}_{name}" for kind in KINDS for name in per_kind}
    drawn = multiplicities("data", num_images=12, replicates=20)
    mask = resampled_ap(load_matches(tmp_path / FILES["mask"]), drawn)
    assert (found["mask_ap"] == mask.mean(axis=1)).all()
    assert (found["mask_ap50"] == mask[:, 0]).all()
    assert (found["mask_ap75"] == mask[:, 5]).all()
    assert list(tmp_path.glob("resamples/*")) == [out]  # nothing temporary is left


def test_files_of_the_same_resamples_are_equal_and_name_them(tmp_path: Path) -> None:
    evaluate(tmp_path, 3)
    for name, data in (("a", "data"), ("b", "data"), ("c", "other")):
        resample(tmp_path, tmp_path / f"{name}.npz", eval_data=data, replicates=5)
    a, b, c = (tmp_path / f"{name}.npz" for name in "abc")
    assert a.read_bytes() == b.read_bytes()
    (columns, first), (_, second), (_, other) = (read_resamples(file) for file in (a, b, c))
    assert first == second != other
    assert set(columns) == {f"{kind}_{name}" for kind in KINDS for name in ("ap", "ap50", "ap75")}


def test_missing_or_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"matches-bbox\.npz is damaged: "):
        resample(tmp_path, tmp_path / "out.npz", eval_data="data")
    with pytest.raises(SpecError, match=r"none\.npz is damaged: .*No such file"):
        read_resamples(tmp_path / "none.npz")
    evaluate(tmp_path, 2)
    box = tmp_path / FILES["box"]
    box.write_bytes(box.read_bytes()[:-40])
    with pytest.raises(SpecError, match=r"matches-bbox\.npz is damaged: "):
        resample(tmp_path, tmp_path / "out.npz", eval_data="data")
    with pytest.raises(SpecError, match="not a file of resamples"):
        read_resamples(tmp_path / FILES["mask"])
