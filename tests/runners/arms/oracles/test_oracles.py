"""Oracles with known prototypes, so that the AP of each follows by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from runners.arms.oracles.ladder import ORACLES, oracle_entries, oracle_ladder
from runners.evaluation.coco.masks import encode_pixels
from yolact_bench.data.objects import Objects
from yolact_bench.detect.image_candidates import Candidates
from yolact_bench.detect.nms import NMS
from yolact_bench.detect.pipeline import DetectionHead
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.detector import Detector
from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.runtime.runtime import Program

SIDE = 16  # of images and prototypes alike: nothing is lost or gained by upsampling

A, B = (2, 2, 10, 10), (10, 10, 16, 16)  # corners
# The crop leaves a cell more on either side, so A 10 × 10 cells and B, at the border, 7 × 7.


def filled(box: Sequence[int]) -> np.ndarray:
    x1, y1, x2, y2 = box
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


@dataclass
class Scene:
    """One image with objects given as label, box and mask."""

    objects_in: Sequence[tuple[int, tuple[int, ...], np.ndarray]]
    crowds: int = 0  # number of the last objects that are crowds

    classes = ("one", "two")
    category_ids = (11, 42)

    def __len__(self) -> int:
        return 1

    def image_id(self, index: int) -> int:
        return 7

    def objects(self, index: int) -> Objects:
        count = len(self.objects_in)
        return Objects(
            boxes_px=np.array([box for _, box, _ in self.objects_in], np.float64).reshape(-1, 4),
            labels=np.array([label for label, _, _ in self.objects_in], np.int64),
            segments=tuple(mask for _, _, mask in self.objects_in),
            is_crowd=np.arange(count) >= count - self.crowds,
            height=SIDE,
            width=SIDE,
        )

    def ground_truth(self) -> dict[str, object]:
        crowd = self.objects(0).is_crowd.tolist()
        return {
            "images": [{"id": 7, "height": SIDE, "width": SIDE}],
            "annotations": [
                {
                    "id": number + 1,
                    "image_id": 7,
                    "category_id": self.category_ids[label],
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": int(mask.sum()),
                    "iscrowd": int(crowd[number]),
                    "segmentation": encode_pixels(mask),
                }
                for number, (label, box, mask) in enumerate(self.objects_in)
            ],
            "categories": [
                {"id": number, "name": name}
                for number, name in zip(self.category_ids, self.classes, strict=True)
            ],
        }


class NoNetwork(Program):
    mean = std = (1.0, 1.0, 1.0)

    def forward(self, *arguments: object) -> object:
        raise AssertionError("an oracle reads stored predictions, and runs no network")


def detector(*, crop: bool = True) -> Detector:
    return Detector(
        NoNetwork(),
        head=DetectionHead(
            nms=NMS["cross_class_fast"],
            assembly=ASSEMBLIES["linear_combination"](crop=crop),  # type: ignore[call-arg]
            rescorer=RESCORERS["none"],
            rescore_net=None,
        ),
        image_size=SIDE,
        classes=Scene.classes,
    )


def candidates(
    found: Sequence[tuple[int, float, tuple[int, ...], Sequence[float]]],
    prototypes: Sequence[np.ndarray],
) -> Candidates:
    """Label, score, box and coefficients of each detection."""
    probabilities = torch.zeros(len(found), 2)
    for row, (label, value, _, _) in enumerate(found):
        probabilities[row, label] = value
    return Candidates(
        boxes=torch.tensor([box for _, _, box, _ in found]).reshape(-1, 4) / SIDE,
        probabilities=probabilities,
        coefficients=torch.tensor([list(one) for _, _, _, one in found]).reshape(
            -1, len(prototypes)
        ),
        prototypes=torch.from_numpy(np.stack(prototypes, axis=-1)).float(),
    )


def ladder(scene: Scene, found: Candidates, *, crop: bool = True) -> dict[str, float | None]:
    return oracle_ladder(detector(crop=crop), scene, [found] * len(scene))  # type: ignore[arg-type]


EVERYWHERE = np.ones((SIDE, SIDE), np.uint8)
L_SHAPE = filled((2, 2, 4, 10)) | filled((2, 8, 10, 10))  # 2·8 + 2·6 = 28 cells
TWO = Scene([(0, A, L_SHAPE), (1, B, filled(B))])
THEIR_MASKS = [L_SHAPE, filled(B), EVERYWHERE]
MASK_A, MASK_B = (8.0, 0.0, -4.0), (0.0, 8.0, -4.0)  # logits of +4 inside and −4 outside


def test_without_an_object_to_find_no_oracle_has_an_ap() -> None:
    found = candidates([(0, 0.9, A, MASK_A)], THEIR_MASKS)
    assert ladder(Scene([(0, A, L_SHAPE)], crowds=1), found) == dict.fromkeys(ORACLES)


def test_a_perfect_detector_is_perfect_with_every_oracle() -> None:
    found = candidates([(0, 0.9, A, MASK_A), (1, 0.8, B, MASK_B)], THEIR_MASKS)
    assert ladder(TWO, found) == pytest.approx(dict.fromkeys(ORACLES, 1.0))


def test_prototypes_that_hold_the_masks_express_them_although_nothing_is_found() -> None:
    ap = ladder(TWO, candidates([], THEIR_MASKS))
    assert ap == pytest.approx({**dict.fromkeys(ORACLES, 0.0), "project_gt": 1.0})


def test_a_constant_prototype_expresses_a_box_or_nothing() -> None:
    """Of A's crop, 10 × 10 cells, 28 are the object's: the least error is below 0, so no mask.

    Of B's, 7 × 7, 36 are: all of it, at IoU 36/49 = 0.73, found at 5 of 10 thresholds. The mean
    of the two classes is 0.25.
    """
    ap = ladder(TWO, candidates([], [EVERYWHERE]))
    assert ap["project_gt"] == pytest.approx(0.25)


def test_a_mask_that_cannot_be_expressed_does_not_come_before_one_that_can() -> None:
    """The first of two objects gets no mask, the second its own: precision 1 up to recall 0.5.

    That is 51 of COCO's 101 recalls. Scored alike, the empty mask would halve the precision.
    """
    one_class = Scene([(0, A, L_SHAPE), (0, B, filled(B))])
    ap = ladder(one_class, candidates([], [filled(B), EVERYWHERE]))
    assert ap["project_gt"] == pytest.approx(51 / 101)


def test_prototypes_without_anything_express_nothing() -> None:
    assert ladder(TWO, candidates([], [0 * EVERYWHERE, 0 * EVERYWHERE]))["project_gt"] == 0


def test_the_true_box_gives_back_what_a_tight_box_cut() -> None:
    """The box is the left half; with one cell more, 5 of 8 columns stay: IoU 0.625, so 3 of 10.

    Box IoU with A is 1/2. The detection is alone, so neither class nor score can change a thing.
    """
    scene = Scene([(0, A, filled(A))])
    prototypes = [filled(A), EVERYWHERE]
    ap = ladder(scene, candidates([(0, 0.9, (2, 2, 6, 10), (8.0, -4.0))], prototypes))
    assert ap["none"] == ap["rescore_gt"] == ap["class_gt"] == pytest.approx(0.3)
    assert ap["crop_gt_box"] == pytest.approx(1.0)


def areas(scene: Scene, found: Candidates, *, crop: bool = True) -> dict[str, list[int]]:
    entries = oracle_entries(detector(crop=crop), found, scene, 0)  # type: ignore[arg-type]
    return {name: [int(rle.area(one["segmentation"])) for one in entries[name]] for name in entries}


def test_a_detection_keeps_its_mask_where_no_object_of_its_class_is_near() -> None:
    """Class 1 on A, whose class is 0: 3 columns of A (2 to 4) stay with either box."""
    found = candidates([(1, 0.9, (2, 2, 4, 10), MASK_A)], [filled(A), filled(B), EVERYWHERE])
    area = areas(TWO, found)
    assert area["none"] == area["crop_gt_box"] == [3 * 8]


def test_the_true_box_cuts_what_a_detector_without_crop_leaves() -> None:
    """A is 8 × 8, so cut to 10 × 10; without a crop the mask is the image."""
    found = candidates([(0, 0.9, A, (0.0, 0.0, 4.0))], THEIR_MASKS)
    area = areas(TWO, found, crop=False)
    assert area["none"] == [SIDE * SIDE]
    assert area["crop_gt_box"] == [10 * 10]


def test_scores_by_true_mask_iou_put_the_better_mask_first() -> None:
    """A's first quarter: 3 of 8 columns, IoU 0.375, wrong at every threshold and surer than A.

    Precision is 1/2 before and 1 after: 0.9 · 0.375 is less than 0.8 · 1.
    """
    scene = Scene([(0, A, filled(A))])
    found = candidates(
        [(0, 0.9, (2, 2, 4, 10), (8.0, -4.0)), (0, 0.8, A, (8.0, -4.0))], [filled(A), EVERYWHERE]
    )
    entries = oracle_entries(detector(), found, scene, 0)  # type: ignore[arg-type]
    scores = [one["score"] for one in entries["rescore_gt"]]
    assert scores == pytest.approx([0.9 * 0.375, 0.8])
    ap = ladder(scene, found)
    assert ap["none"] == pytest.approx(1 / 2)
    assert ap["rescore_gt"] == pytest.approx(1.0)


def test_outlines_are_objects_like_any_other() -> None:
    """A in two polygons that share its middle columns: their union is the mask again."""
    halves = tuple(
        np.array([(x1, 2), (x2, 2), (x2, 10), (x1, 10)], np.float64) for x1, x2 in ((2, 7), (5, 10))
    )
    scene = Scene([(0, A, halves)])  # type: ignore[list-item]
    found = candidates([(0, 0.5, A, MASK_A)], [filled(A), filled(B), EVERYWHERE])
    entries = oracle_entries(detector(), found, scene, 0)  # type: ignore[arg-type]
    assert [one["score"] for one in entries["rescore_gt"]] == [0.5]
    assert [one["segmentation"] for one in entries["project_gt"]] == [encode_pixels(filled(A))]


def test_a_mask_of_no_object_of_its_class_is_worth_nothing() -> None:
    found = candidates([(1, 0.9, A, MASK_A)], THEIR_MASKS)
    entries = oracle_entries(detector(), found, TWO, 0)  # type: ignore[arg-type]
    assert [one["score"] for one in entries["rescore_gt"]] == [0.0]


def test_true_classes_mend_a_wrong_label() -> None:
    """A found as class 1 before B is: class 0 has AP 0, class 1 precision 1/2, the mean is 1/4."""
    found = candidates([(1, 0.9, A, MASK_A), (1, 0.8, B, MASK_B)], THEIR_MASKS)
    ap = ladder(TWO, found)
    assert ap["none"] == ap["crop_gt_box"] == pytest.approx(1 / 4)
    assert ap["class_gt"] == pytest.approx(1.0)


def test_a_label_stays_where_the_box_is_of_no_object() -> None:
    """The left 3 of 8 columns: box IoU 0.375 with A."""
    found = candidates([(1, 0.9, (2, 2, 5, 10), MASK_A)], THEIR_MASKS)
    entries = oracle_entries(detector(), found, TWO, 0)  # type: ignore[arg-type]
    assert [one["category_id"] for one in entries["class_gt"]] == [42]


def test_crowds_are_neither_projected_nor_used_to_mend() -> None:
    scene = replace(TWO, crowds=1)  # B
    found = candidates([(0, 0.9, B, MASK_B)], THEIR_MASKS)
    entries = oracle_entries(detector(), found, scene, 0)  # type: ignore[arg-type]
    assert [one["category_id"] for one in entries["project_gt"]] == [11]
    assert entries["class_gt"] == entries["none"]
    assert [one["score"] for one in entries["rescore_gt"]] == [0.0]


@pytest.mark.parametrize("crowds", [0, 1])
def test_an_image_without_objects_keeps_its_detections(crowds: int) -> None:
    empty = Scene([(0, A, filled(A))] * crowds, crowds=crowds)
    found = candidates([(0, 0.9, A, MASK_A)], THEIR_MASKS)
    entries = oracle_entries(detector(), found, empty, 0)  # type: ignore[arg-type]
    assert {name: len(some) for name, some in entries.items()} == {
        **dict.fromkeys(ORACLES, 1),
        "project_gt": 0,
    }
