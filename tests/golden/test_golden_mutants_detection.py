"""The recorded detections notice each quirk of the reference's pipeline when it is undone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.golden_reference import detection_faults, detector, images
from yolact_bench.detect import pipeline
from yolact_bench.detect.rescore import times_predicted_iou
from yolact_bench.geometry import boxes as geometry_boxes
from yolact_bench.geometry import masks as geometry_masks
from yolact_bench.geometry.masks import LinearCombination, crop
from yolact_bench.shapes import Predictions

V1, PLUS = "yolact_resnet50", "yolact_plus_resnet50"


@cache
def predictions(config: str) -> Predictions:
    made = detector(config)
    return made.predict(made.preprocess(images()[:1]))


def faults_of_detection(config: str, **parts: object) -> list[str]:
    """What differs when parts of the pipeline are replaced."""
    head = replace(detector(config).head, **parts)  # type: ignore[arg-type]
    with torch.inference_mode():
        found = head.find(predictions(config), 0, height=480, width=640)
        return detection_faults(config, 0, "fast", pipeline.to_detections(found))


def _mean_pooled(masks: Tensor) -> Tensor:
    net = detector(PLUS).head.rescore_net
    assert net is not None
    found: Tensor = net.layers(masks).mean(dim=(2, 3))
    return found


def _predicted_alone(soft: Tensor, labels: Tensor, scores: Tensor, net: object) -> Tensor:
    return times_predicted_iou(soft, labels, scores, net) / scores  # type: ignore[arg-type]


def _of_the_next_class(soft: Tensor, labels: Tensor, scores: Tensor, net: object) -> Tensor:
    return times_predicted_iou(soft, (labels + 1) % 80, scores, net)  # type: ignore[arg-type]


PARTS: Mapping[str, tuple[str, dict[str, object]]] = {
    "IoU limit 0.45": (V1, {"nms": lambda b, s: detector(V1).head.nms(b, s, max_iou=0.45)}),
    "no crop": (V1, {"assembly": LinearCombination(crop=False)}),
    "mask threshold 0.45": (V1, {"assembly": LinearCombination(mask_threshold=0.45)}),
    "score without class score": (PLUS, {"rescorer": _predicted_alone}),
    "IoU of another class": (PLUS, {"rescorer": _of_the_next_class}),
    "mean instead of maximum": (PLUS, {"rescore_net": _mean_pooled}),
    "no re-scoring": (PLUS, {"rescorer": lambda soft, labels, scores, net: scores}),
}


@pytest.mark.parametrize("config", [V1, PLUS])
def test_the_unchanged_pipeline_differs_in_nothing(config: str) -> None:
    assert faults_of_detection(config) == []


@pytest.mark.parametrize("name", PARTS)
def test_another_part_of_the_pipeline_is_noticed(name: str) -> None:
    config, parts = PARTS[name]
    assert faults_of_detection(config, **parts)


def _in_pixels(
    boxes: Tensor, height: int, width: int, *, whole: Callable[[Tensor], Tensor]
) -> Tensor:
    size = boxes.new_tensor([width, height, width, height])
    return whole(boxes * size)


FUNCTIONS: Mapping[str, tuple[object, str, object]] = {
    "crop without padding": (geometry_masks, "crop", partial(crop, padding=0)),
    "crop rounded to cells": (
        geometry_masks,
        "crop",
        lambda masks, boxes: crop(masks, (boxes * 138).round() / 138),
    ),
    "masks upsampled with aligned corners": (
        pipeline,
        "upsample",
        lambda soft, h, w, *, threshold: (
            F.interpolate(soft[None], size=(h, w), mode="bilinear", align_corners=True)[0]
            > threshold
        ),
    ),
    "boxes rounded": (
        pipeline,
        "to_pixels",
        lambda boxes, h, w: _in_pixels(boxes, h, w, whole=lambda x: x.clamp(min=0).round()),
    ),
    "boxes not clamped": (pipeline, "to_pixels", partial(_in_pixels, whole=torch.trunc)),
    "another variance": (geometry_boxes, "SIZE_VARIANCE", 0.1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_another_function_of_the_pipeline_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, attribute, wrong = FUNCTIONS[name]
    monkeypatch.setattr(module, attribute, wrong)
    assert faults_of_detection(V1)


def test_cropping_after_upsampling_is_noticed() -> None:
    made = detector(V1)
    with torch.inference_mode():
        head = replace(made.head, assembly=LinearCombination(crop=False), rescore_net=None)
        found = head.find(predictions(V1), 0, height=480, width=640)
        detections = pipeline.to_detections(found)
        cropped = crop(detections.masks.float(), found.boxes) > 0
    assert detection_faults(V1, 0, "fast", replace(detections, masks=cropped))
