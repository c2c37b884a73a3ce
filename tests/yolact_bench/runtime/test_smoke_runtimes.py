"""Runtimes under a smoke budget."""

import pytest

from yolact_bench.slots import Choice
from yolact_bench.spec.budget import apply_budget, smoke_sides
from yolact_bench.spec.presets import preset


@pytest.mark.parametrize(
    ("written", "smoked"),
    [
        ({"name": "eager", "precision": "fp16"}, {"name": "eager", "precision": "fp32"}),
        ({"name": "cuda_graph"}, {"name": "compiled"}),
        ({"name": "cuda_graph", "precision": "bf16"}, {"name": "compiled", "precision": "bf16"}),
    ],
)
def test_a_smoke_budget_runs_on_a_cpu(written: Choice, smoked: Choice) -> None:
    run = preset("yolact_tiny").changed({"runtime": written})
    assert apply_budget(run, "smoke", sides=smoke_sides([run.image_size])).runtime == smoked
