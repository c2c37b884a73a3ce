"""A step of a training asks nothing of a device that it would have to wait for."""

from pathlib import Path

import pytest
import torch

from runners.training.loop import Loop, TrainingOptions
from tests.support.loss_cases import NoReading, NoWaiting, as_on_a_device, objects
from yolact_bench.build import build_losses_for, build_network, build_schedule, prototype_size
from yolact_bench.data.batch import collate
from yolact_bench.shapes import Sample
from yolact_bench.spec.presets import preset

SIDE = 72
TERMS = {
    "without re-scoring": {},
    "with re-scoring": {
        "rescore_net": {"name": "mask_iou", "channels": [4, 8]},
        "mask_iou_loss": {"name": "smooth_l1"},
    },
}


@pytest.mark.parametrize("terms", TERMS)
def test_no_operator_of_a_step_makes_the_host_wait(
    terms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward pass, losses, backward pass and optimiser, of three images of which one is empty."""
    run = preset("yolact_tiny").changed({"image_size": SIDE, **TERMS[terms]})
    network = build_network(run, initial=False)
    size = prototype_size(run)
    image = torch.zeros(SIDE, SIDE, 3, dtype=torch.uint8)
    batch = collate([Sample(image=image, target=objects(n, n // 3, size, n)) for n in (5, 0, 3)])
    loop = Loop(
        run,
        network,
        build_schedule(run),
        build_losses_for(run, network),
        tmp_path,
        TrainingOptions(device="cpu", workers=0),
    )
    before = [parameter.detach().clone() for parameter in network.parameters()]
    as_on_a_device(monkeypatch)
    with NoWaiting(), NoReading():
        loop.step(batch)
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert any(moved)
    assert all(bool(loss.isfinite()) for loss in loop.window[0].values())
