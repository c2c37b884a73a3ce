"""A graph and a network that is put in the place of its own while an arm is timed."""

import numpy as np

from runners.timing.detection_load import planting
from tests.yolact_bench.detect.test_graph import RESCORED, Recorder, eager_detector, graphed
from yolact_bench.spec.loads import constant_load


def test_a_network_in_the_place_of_another_is_recorded_anew() -> None:
    """As the declared detections are when arms are timed; afterwards the old network is back."""
    eager, record = eager_detector(**RESCORED), Recorder()
    graph = graphed(eager, record)
    image = np.full((60, 80, 3), 99, np.uint8)
    graph.find([image])
    counts = {}
    for name, detector in (("eager", eager), ("graph", graph)):
        batch = detector.preprocess([image])
        own = len(detector.find([image])[0])
        with planting(detector, constant_load(7), batch, images=1) as planted:
            planted.show([0])
            found = detector.find([image])[0]
            counts[name] = own, len(found), [round(float(score), 4) for score in found.scores[:7]]
        assert len(detector.find([image])[0]) == own
    assert counts["graph"] == counts["eager"]
    assert counts["graph"][2][0] == 0.95  # the surest of what was planted
    assert record.recorded == 3
