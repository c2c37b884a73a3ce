"""A declared load is found as declared, whatever the network, and leaves no trace behind."""

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from runners.timing.calls import PreparedArm, detections_in
from runners.timing.detection_load import LoadedNetwork, impose_load, load_rows
from runners.timing.images import as_picture
from yolact_bench.build import load_detector
from yolact_bench.detect.candidates import candidate_rows
from yolact_bench.detect.image_candidates import candidates_of
from yolact_bench.detect.nms import NMS
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.loads import LOADS, Load, constant_load, find_load

IMAGES = [np.full((90, 120, 3), 40 * n, np.uint8) for n in range(4)]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("yolact_tiny", image_size=96)


def found(load: Load, image: int, nms: Mapping[str, object]) -> int:
    """How many detections there are in an image with that load and NMS."""
    like = load_detector("yolact_tiny", image_size=96, nms=nms)
    with impose_load(like, load, like.preprocess(IMAGES[:1]), images=4) as loaded:
        loaded.write([image])
        return len(like.find([IMAGES[image]])[0])


# Detections made of each declared one. Where every candidate competes in every class, what does not
# overlap survives in each of the 5; Soft-NMS keeps of equal boxes what is above 0.001 after factors
# of exp(-2): the best, and of those at 0.06 the first at 0.0081 and the second at 0.0011.
FOR_EACH = {
    **{"fast": 5, "cluster": 5, "diou": 5, "soft": 3},
    **{"cross_class_fast": 1, "sequential": 1, "matrix": 1},
}


@pytest.mark.parametrize("name", NMS)
@pytest.mark.parametrize("count", [0, 1, 15, 30])
def test_as_many_survive_as_declared(name: str, count: int) -> None:
    """Or as often as a listed NMS makes of each object; another loses none. At most 100."""
    survivors = found(constant_load(count), 0, {"name": name})
    assert min(count, 100) <= survivors <= (100 if count else 0)
    if name in FOR_EACH:
        assert survivors == min(100, FOR_EACH[name] * count)


def test_as_many_are_candidates_as_declared(detector: Detector) -> None:
    """10 detections with 14 candidates each: 140 anchors above 0.05."""
    with impose_load(
        detector, constant_load(10), detector.preprocess(IMAGES[:1]), images=1
    ) as loaded:
        loaded.write([0])
        predictions = detector.predict(detector.preprocess(IMAGES[:1]))
    probabilities = candidates_of(predictions, 0).probabilities
    assert len(candidate_rows(probabilities, 0.05)) == 140


def test_every_image_has_its_own_load_and_nothing_of_the_last_remains(detector: Detector) -> None:
    load = Load(name="some", detections=(3, 0, 7, 1), source="a test")
    nms = load_detector("yolact_tiny", image_size=96, nms={"name": "sequential"})
    with impose_load(nms, load, nms.preprocess(IMAGES[:2]), images=4) as loaded:
        for images in ([0, 1], [2, 3], [1, 0], [3, 2]):
            loaded.write(images)
            counts = [len(f) for f in nms.find([IMAGES[i] for i in images])]
            assert counts == [load.of(i) for i in images]


def test_masks_are_neither_empty_nor_full(detector: Detector) -> None:
    """Run lengths of nothing, or of rectangles, would be too easy."""
    nms = load_detector("yolact_tiny", image_size=96, nms={"name": "sequential"})
    with impose_load(nms, constant_load(9), nms.preprocess(IMAGES[:1]), images=1) as loaded:
        loaded.write([0])
        masks = nms([IMAGES[0]])[0].masks
    share = masks.flatten(1).float().mean(1)  # a box is 0.96² / 9 = 10 % of the image
    assert len(share) == 9
    assert (share > 0.02).all()
    assert share.mean() < 0.1


def test_the_network_runs_and_is_given_back(detector: Detector) -> None:
    network = detector.network
    calls = []
    handle = network.register_forward_hook(lambda *_: calls.append(1))
    batch = detector.preprocess(IMAGES[:1])
    with impose_load(detector, constant_load(2), batch, images=1) as loaded:
        loaded.write([0])
        assert isinstance(detector.network, LoadedNetwork)
        made = len(calls)
        detector.find([IMAGES[0]])
        assert len(calls) == made + 1
    handle.remove()
    assert detector.network is network


def test_tensors_keep_their_places_so_that_a_captured_graph_reads_them(detector: Detector) -> None:
    batch = detector.preprocess(IMAGES[:1])
    with impose_load(detector, constant_load(2), batch, images=4) as loaded:
        loaded.write([0])
        first = detector.predict(batch)
        loaded.write([1])
        second = detector.predict(batch)
    for name in ("boxes", "class_logits", "coefficients", "prototypes"):
        assert getattr(first, name).data_ptr() == getattr(second, name).data_ptr()


def test_the_same_image_always_has_the_same_objects(detector: Detector) -> None:
    like = detector.predict(detector.preprocess(IMAGES[:1]))
    a, b, other = (load_rows(LOADS["coco_like"], n, like) for n in (1, 1, 2))
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.class_logits, b.class_logits)
    assert len(a.anchors) != len(other.anchors)  # 8 detections against 4


def test_more_detections_than_anchors_is_an_error(detector: Detector) -> None:
    like = detector.predict(detector.preprocess(IMAGES[:1]))
    too_many = Load(name="much", detections=(10**6,), source="a test")
    with pytest.raises(SpecError, match="load much: 1000000 detections, but the network has"):
        load_rows(too_many, 0, like)


def test_loads_are_found_by_name_and_unknown_ones_are_errors() -> None:
    assert find_load("constant_30").of(7) == 30
    assert find_load("coco_like").of(0) == 80  # 4 · 20 objects
    assert max(find_load("coco_like").detections) == 100
    for wrong in ("crowded", "constant_", "constant_2000", "own"):
        with pytest.raises(SpecError, match="no detection load is named"):
            find_load(wrong)


@pytest.mark.parametrize(
    ("scenario", "counts"), [("model", None), ("detector", 8), ("end_to_end", 8)]
)
def test_a_call_of_each_scenario_ends_where_it_says(scenario: str, counts: int | None) -> None:
    """Two images of 4 objects each."""
    detector = load_detector("yolact_tiny", image_size=96, nms={"name": "sequential"})
    pictures = [as_picture(n, image) for n, image in enumerate(IMAGES)]
    with ExitStack() as stack:
        arm = PreparedArm(
            "arm",
            detector,
            pictures,
            scenario=scenario,
            batch_size=2,
            load=constant_load(4),
            stack=stack,
        )
        result = arm(1)
    detections = detections_in(result)
    assert (None if detections is None else sum(map(len, detections))) == counts
    if scenario == "end_to_end":
        (first, counts_text), _ = result  # type: ignore[misc]
        assert (first.height, first.width) == (90, 120)
        assert len(counts_text) == 4
        assert all(isinstance(text, str) and text for text in counts_text)


def test_pictures_are_decoded_to_the_same_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    assert np.array_equal(as_picture(3, image).decode(), image)
