"""The cost of one image in a run: MACs, operations and traffic of every stage.

The network is counted on the meta device, the rest on the CPU with candidates of a load, so that it
takes a second at any size. The count is of the definition, not of its execution: the plain runtime
and torchvision's deformable layers, independent of the runtime that the arm is timed with.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from runners.units.operator_cost import Cost, Counter, UncountableError, total
from yolact_bench.build import PLAIN, build_detector, build_network
from yolact_bench.clock import STAGES
from yolact_bench.detect.pipeline import to_detections
from yolact_bench.detector import Detector
from yolact_bench.geometry.boxes import encode
from yolact_bench.loads import LOADS
from yolact_bench.model.network import Yolact
from yolact_bench.shapes import Predictions
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

LOAD = LOADS["crowded_100"]  # the most detections that COCO scores
OBJECTS = LOAD.of(0)
CANDIDATES = OBJECTS * LOAD.candidates_per_detection
IMAGE_SIZE = (480, 640)  # the most frequent one of COCO


def macs_or_none(run: Run, *, title: str) -> int | None:
    """Return the MACs of an image; None, and a warning, where an operator has no formula."""
    try:
        return total(count_stages(run)).macs
    except UncountableError as error:
        log.warning("%s: MACs are not counted: %s", title, error)
        return None


def count_stages(run: Run) -> Mapping[str, Cost]:
    """Return the cost of every stage for one 480×640 image with 100 objects, in float32.

    Candidates for the NMS are those of the load `crowded_100`. A stage that does
    nothing, such as re-scoring without a network, is left out.

    Raises:
        UncountableError: an operator has no formula.
    """
    plain = run.changed(PLAIN)
    with torch.device("meta"):
        network = build_network(plain, initial=False)
    detector = build_detector(plain, network, device="meta")
    counter = Counter()
    with torch.inference_mode(), counter:
        with counter.clock("preprocess"):
            batch = detector.preprocess([np.zeros((*IMAGE_SIZE, 3), dtype=np.uint8)])
        raw = detector.predict(batch, counter.clock)
    _count_detection(detector, _crowd(raw), counter)
    costs, parameters = counter.costs, _parameters(network)
    return {
        stage: replace(costs[stage], parameters=parameters.get(stage, 0))
        for stage in STAGES
        if stage in costs
    }


def _parameters(network: Yolact) -> dict[str, int]:
    """Of inference: the semantic layer serves its loss alone."""
    parts = {stage: getattr(network, stage) for stage in ("backbone", "fpn", "protonet", "head")}
    parts |= {"rescore": network.rescore_net} if network.rescore_net is not None else {}
    return {stage: sum(p.numel() for p in part.parameters()) for stage, part in parts.items()}


def _count_detection(detector: Detector, predictions: Predictions, counter: "Counter") -> None:
    net = detector.head.rescore_net
    if isinstance(net, nn.Module):
        net = net.to_empty(device="cpu")
        for values in (*net.parameters(), *net.buffers()):
            values.data.zero_()
    height, width = IMAGE_SIZE
    with torch.inference_mode(), counter:
        clock = counter.clock
        one = detector.head.find(predictions, 0, height=height, width=width, clock=clock)
        with clock("upsample"):
            # Off the CPU it is one interpolation of whole masks, which is how it is defined.
            to_detections(replace(one, soft_masks=one.soft_masks.to("meta")))


def _crowd(raw: Predictions) -> Predictions:
    """Return predictions of the shapes of `raw` with candidates for disjoint objects in a grid."""
    anchors = raw.anchors
    if anchors.device.type == "meta":  # which holds no values: any will do
        anchors = torch.tensor([0.5, 0.5, 0.1, 0.1]).repeat(len(anchors), 1)
    anchors = anchors.cpu()
    num_anchors, columns = raw.class_logits.shape[1:]
    candidates = min(CANDIDATES, num_anchors)
    rows = torch.arange(candidates) * num_anchors // candidates
    objects = torch.arange(candidates) % OBJECTS
    side = math.isqrt(OBJECTS)
    corner = torch.stack([objects % side, objects // side], 1) / side
    corners = torch.cat([corner + 0.1 / side, corner + 0.9 / side], 1)
    boxes = torch.zeros(1, num_anchors, 4)
    boxes[0, rows] = encode(corners, anchors[rows])
    logits = torch.full((1, num_anchors, columns), -20.0)
    logits[0, :, 0] = 10.0
    sure = 0.95 - 0.8 * torch.arange(candidates) / candidates
    logits[0, rows, 0] = 0.0
    logits[0, rows, 1 + objects % (columns - 1)] = sure.logit()
    features = None if raw.features is None else tuple(torch.zeros(f.shape) for f in raw.features)
    return Predictions(
        boxes=boxes,
        class_logits=logits,
        coefficients=torch.zeros(raw.coefficients.shape),
        prototypes=torch.zeros(raw.prototypes.shape),
        anchors=anchors,
        semantic=None,
        features=features,
    )
