"""A graph whose network is replaced while a detection load is imposed."""

import numpy as np

from runners.timing.detection_load import impose_load
from tests.support.recorders import Recorder
from tests.support.small_detector import small_detector
from tests.yolact_bench.detect.test_graph import RESCORED, graphed
from yolact_bench.loads import constant_load


def test_a_network_in_the_place_of_another_is_recorded_anew() -> None:
    """As the declared detections are when arms are timed; afterwards the old network is back."""
    eager, record = small_detector(**RESCORED), Recorder()
    graph = graphed(eager, record)
    image = np.full((60, 80, 3), 99, np.uint8)
    graph.find([image])
    counts = {}
    for name, detector in (("eager", eager), ("graph", graph)):
        batch = detector.preprocess([image])
        own = len(detector.find([image])[0])
        with impose_load(detector, constant_load(7), batch, images=1) as loaded:
            loaded.write([0])
            found = detector.find([image])[0]
            counts[name] = own, len(found), [round(float(score), 4) for score in found.scores[:7]]
        assert len(detector.find([image])[0]) == own
    assert counts["graph"] == counts["eager"]
    assert counts["graph"][2][0] == 0.95  # the surest of the load
    assert record.recorded == 3
