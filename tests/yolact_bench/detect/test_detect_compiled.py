"""Detection in fixed sizes is one graph for the compiler."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

COMPILED = """
import sys
import torch

sys.path.insert(0, ".")
from tests.yolact_bench.detect.test_detect_fixed import FIXED_NMS, head_of, predictions
from yolact_bench.detect.graph.fixed import FixedDetection
from yolact_bench.detect.nms import NMS

raw = predictions()
for name, nms in FIXED_NMS.items():
    detection = FixedDetection(head_of(NMS[name], "mask_iou"), nms)
    compiled = torch.compile(detection, backend="eager", fullgraph=True)
    with torch.no_grad():
        got, expected = compiled(raw), detection(raw)
    assert torch.equal(got.mask_scores, expected.mask_scores), name
"""


@pytest.mark.slow
def test_the_whole_is_one_graph_for_the_compiler() -> None:
    """In a process of its own: what checks shapes in tests is no code to compile."""
    subprocess.run([sys.executable, "-c", COMPILED], cwd=ROOT, check=True)
