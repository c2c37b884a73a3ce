"""A step of a training asks nothing of a device that it would have to wait for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from runners.training.loop import Loop
from runners.training.options import TrainingOptions
from tests.support.loss_cases import NoReading, NoWaiting, as_on_a_device, objects
from yolact_bench.build import build_network
from yolact_bench.data.batch import normalise
from yolact_bench.data.collate import Batch, collate, collate_to_send
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.shapes import Sample
from yolact_bench.spec.presets import preset
from yolact_bench.training_parts import build_losses_for, build_schedule

SIDE = 72
TERMS = {
    "without re-scoring": {},
    "with re-scoring": {
        "rescore_net": {"name": "mask_iou", "channels": [4, 8]},
        "mask_iou_loss": {"name": "smooth_l1"},
    },
}


def loop_and_batch(terms: str, folder: Path, device: str) -> tuple[Loop, Batch]:
    """A training of yolact_tiny, and a batch of three images of which one is empty."""
    run = preset("yolact_tiny").changed({"image_size": SIDE, **TERMS[terms]})
    network = build_network(run, initial=False).to(torch.device(device))
    size = prototype_size(run.image_size)
    image = torch.zeros(SIDE, SIDE, 3, dtype=torch.uint8)
    samples = [Sample(image=image, target=objects(n, n // 3, size, n)) for n in (5, 0, 3)]
    batch = (collate if device == "cpu" else collate_to_send)(samples)
    loop = Loop(
        run,
        network,
        build_schedule(run),
        build_losses_for(run, network),
        folder,
        TrainingOptions(device=device, workers=0),
    )
    return loop, batch


@pytest.mark.parametrize("terms", TERMS)
def test_no_operator_of_a_step_makes_the_host_wait(
    terms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward pass, losses, backward pass and optimiser."""
    as_on_a_device(monkeypatch)
    loop, batch = loop_and_batch(terms, tmp_path, "cpu")
    before = [parameter.detach().clone() for parameter in loop.network.parameters()]
    with NoWaiting(), NoReading():
        loop.step(batch)
    now = loop.network.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, now, strict=True))
    assert all(bool(loss.isfinite()) for loss in loop.window[0].values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("terms", TERMS)
def test_on_a_gpu_no_step_but_the_first_waits(terms: str, tmp_path: Path) -> None:
    """The first one compiles kernels and sends constants."""
    loop, batch = loop_and_batch(terms, tmp_path, "cuda")
    batch = batch.pin_memory()
    loop.step(batch)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loop.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_mean_is_sent_to_a_device_once() -> None:
    images = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    normalise(images, (1.0, 2.0, 3.0), (2.0, 2.0, 2.0))
    with NoSending():
        values = normalise(images, (1.0, 2.0, 3.0), (2.0, 2.0, 2.0))
    assert values[0, :, 0, 0].tolist() == [-0.5, -1.0, -1.5]
    with pytest.raises(AssertionError, match="is sent"), NoSending():
        normalise(images, (9.0, 2.0, 3.0), (2.0, 2.0, 2.0))


class NoSending(TorchFunctionMode):
    """Raises where a tensor is made of numbers of Python."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        assert func is not torch.tensor, "a constant is sent"
        return func(*args, **(kwargs or {}))
