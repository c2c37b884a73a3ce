"""What a batch without objects has a part in: processes that share a batch must agree on it."""

import torch

from runners.training.losses import BatchLosses
from yolact_bench.build import build_network
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.shapes import Target
from yolact_bench.spec.presets import preset
from yolact_bench.training_parts import build_losses_for


def test_a_part_of_a_batch_without_objects_still_reaches_every_parameter() -> None:
    """Otherwise the process that has it would wait for gradients that never come."""
    run = preset("yolact_tiny").changed({"image_size": 72})
    network = build_network(run, initial=False).train()
    size = prototype_size(run.image_size)
    nothing = Target(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        masks=torch.zeros(0, size, size, dtype=torch.uint8),
        is_crowd=torch.zeros(0, dtype=torch.bool),
    )
    module = BatchLosses(network, network.__call__, build_losses_for(run, network), "fp32")

    losses = module(torch.randn(2, 3, 72, 72), [nothing, nothing], torch.Generator())
    torch.stack(list(losses.values())).sum().backward()

    assert run.semantic_loss["name"] != "none"
    assert network.rescore_net is None
    unreached = [name for name, p in network.named_parameters() if p.grad is None]
    assert unreached == []
