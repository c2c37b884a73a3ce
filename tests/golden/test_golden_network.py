"""The networks of released weights give the recorded numbers of the reference."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.golden_reference import (
    CONFIGS,
    PRESET_OF,
    detection_faults,
    detector,
    images,
    meta,
    output_faults,
    recorded,
    reference_shapes,
    weights,
)
from yolact_bench.catalog import components
from yolact_bench.slots import pick

MODES = {"fast": "fast", "trad": "sequential", "cross": "cross_class_fast"}
RECORDED_MODES = [(config, mode) for config in CONFIGS for mode in meta(config)["modes"]]


def test_the_fixture_makes_the_images_and_weights_that_were_recorded() -> None:
    for config in CONFIGS:
        crc = [zlib.crc32(np.ascontiguousarray(image).tobytes()) for image in images()]
        assert crc == meta(config)["image_crc32"]
        arrays = weights.make_state_dict(reference_shapes(config), meta(config)["seed"])
        each = [zlib.crc32(np.ascontiguousarray(array).tobytes()) for array in arrays.values()]
        total = zlib.crc32(np.array(each, "<u4").tobytes())
        assert total == meta(config)["weights_crc32"], config


@pytest.mark.parametrize("config", CONFIGS)
def test_anchors_are_those_of_the_reference_bit_for_bit(config: str) -> None:
    anchors = detector(config).network.anchors
    assert torch.equal(anchors, torch.from_numpy(recorded(config)["priors"]))


@pytest.mark.parametrize("config", CONFIGS)
def test_every_stage_of_the_network_gives_the_reference_numbers(config: str) -> None:
    """From the image to the raw outputs, with the semantic head that training alone uses."""
    made = detector(config)
    network = made.network
    with torch.inference_mode():
        x = made.preprocess(images()[:1])
        features = network.backbone(x)
        levels = network.fpn(features)
        raw = network(x)
        outputs = {
            "input": x,
            **{f"C{i}": feature for i, feature in enumerate(features, start=3)},
            **{f"P{i}": level for i, level in enumerate(levels, start=3)},
            "loc": raw.boxes,
            "conf": raw.class_logits,
            "prob": raw.class_logits.softmax(-1),
            "mask": raw.coefficients,
            "proto": raw.prototypes,
            "segm": network.semantic(levels[0]),
        }
    assert output_faults(config, outputs) == []


@pytest.mark.parametrize(("config", "mode"), RECORDED_MODES)
def test_detections_and_masks_are_those_of_the_reference(config: str, mode: str) -> None:
    """Classes, counts and integer boxes exactly, scores to 1e-4, masks to 5 px."""
    made = detector(config)
    default = made.head
    options = {} if mode == "fast" else {"name": MODES[mode]}
    try:
        if options:
            made.head = replace(default, nms=pick("nms", components("nms"), options))
        found = made(images())
    finally:
        made.head = default
    for image, detections in enumerate(found):
        assert detection_faults(config, image, mode, detections) == [], f"image {image}"


def test_every_recorded_configuration_is_checked() -> None:
    assert set(PRESET_OF) == {"yolact_resnet50", "yolact_plus_resnet50"}
    assert [mode for _, mode in RECORDED_MODES] == ["fast", "trad", "cross", "fast"]
