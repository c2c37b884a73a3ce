"""Decode and NMS agree with recorded outputs of the reference implementation.

tests/golden/detect_cases.npz was recorded by running dbolya/yolact@902073d (CPU, float32) on
`reference_inputs.make_detect_case`; the order of its cases is in its "meta".
"""

import json
from functools import partial

import numpy as np
import pytest
import torch

from tests.golden import reference_inputs as inputs
from tests.support.paths import GOLDEN
from yolact_bench.detect.nms import NMS
from yolact_bench.geometry.boxes import decode

RECORDED = np.load(GOLDEN / "detect_cases.npz")
META = json.loads(str(RECORDED["meta"]))

OURS = {
    "fast": NMS["fast"],
    "cross": NMS["cross_class_fast"],
    "trad": partial(NMS["sequential"], grid_px=META["trad_box_scale"]),
}


@pytest.mark.parametrize("mode", OURS)
@pytest.mark.parametrize("case", range(len(META["cases"])))
def test_the_nms_keeps_what_the_reference_keeps(case: int, mode: str) -> None:
    arrays = inputs.make_detect_case(*META["cases"][case])
    regressions, probabilities, _, anchors = (torch.from_numpy(array) for array in arrays)
    boxes = decode(regressions, anchors)

    kept = OURS[mode](boxes, probabilities[:, 1:])

    recorded = {
        name: RECORDED[f"case{case}/{mode}/{name}"]
        for name in ("anchors", "classes", "scores", "boxes_rel")
    }
    assert kept.anchor.tolist() == recorded["anchors"].tolist()
    assert kept.label.tolist() == recorded["classes"].tolist()
    assert np.array_equal(kept.score.numpy(), recorded["scores"])
    assert np.abs(boxes[kept.anchor].numpy() - recorded["boxes_rel"]).max() < 1e-6


@pytest.mark.parametrize("wrong", [{"top_k": 150}, {"max_iou": 0.45}, {"min_score": 0.04}])
def test_other_constants_than_the_papers_are_noticed(wrong: dict[str, float]) -> None:
    """Some case changes with each constant; else the comparison above would prove little."""
    differs = False
    for case, (kind, seed) in enumerate(META["cases"]):
        arrays = inputs.make_detect_case(kind, seed)
        regressions, probabilities, _, anchors = (torch.from_numpy(array) for array in arrays)
        kept = NMS["fast"](decode(regressions, anchors), probabilities[:, 1:], **wrong)
        differs |= kept.anchor.tolist() != RECORDED[f"case{case}/fast/anchors"].tolist()
    assert differs


def test_a_second_score_threshold_is_noticed() -> None:
    """An anchor kept for its best class also comes out under unlikely ones, below 0.05."""
    differs = False
    for case, (kind, seed) in enumerate(META["cases"]):
        arrays = inputs.make_detect_case(kind, seed)
        regressions, probabilities, _, anchors = (torch.from_numpy(array) for array in arrays)
        kept = NMS["fast"](decode(regressions, anchors), probabilities[:, 1:])
        sure = kept.anchor[kept.score > 0.05]
        differs |= sure.tolist() != RECORDED[f"case{case}/fast/anchors"].tolist()
    assert differs
