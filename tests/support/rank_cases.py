"""Small trainings for several processes to share, and how to compare what comes of them."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from runners.system.rank_processes import Parent
from runners.system.ranks import Ranks
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.model.joint_batch_norm import share_batch_norm

# Four images a batch, so that two ranks have two each. In bf16, the last bits of a mean become
# digits of everything behind it.
SHARED: dict[str, object] = {"schedule.batch_size": 4, "precision": "fp32"}


def shared_unit(
    folder: Path, *, devices: int, changes: dict[str, object] | None = None
) -> tuple[Unit, Workplace]:
    """The baseline of the small ablation, with a batch that two can share."""
    folder.mkdir(exist_ok=True)
    at = context(folder / "work")
    unit = plan_spec(write_spec(folder), at).steps[0].unit
    run = unit.run.changed({**SHARED, **(changes or {})})
    return replace(unit, run=run), replace(at.place, devices=devices)


def weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint."""
    state = torch.load(path, weights_only=True)
    network: dict[str, Tensor] = state["network"]
    return network


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Of any two numbers of the same name and place, relative to the largest of the tensor."""
    assert one.keys() == other.keys()
    return max(
        float((one[name].double() - other[name].double()).abs().max())
        / max(1.0, float(one[name].abs().max()))
        for name in one
    )


def norm_of_one() -> dict[str, Tensor]:
    """Gradients and buffers of two convolutions with batch norm, after one joint batch."""
    network, images, wanted = _normalised_case()
    ((network(images) - wanted) ** 2).mean().backward()
    return _told(network)


def norm_of_rank(ranks: Ranks, device: str, parent: Parent) -> dict[str, Tensor]:
    """The same, from every second image on each of two ranks."""
    network, images, wanted = _normalised_case()
    share_batch_norm(network, ranks.statistics)
    shared = DistributedDataParallel(network, broadcast_buffers=False)
    mine = slice(ranks.rank, None, ranks.size)
    ((shared(images[mine]) - wanted[mine]) ** 2).mean().backward()
    return _told(network)


def _normalised_case() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)),
    ).double()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    images[1::2] *= 2
    return network, images, torch.randn(4, 2, 4, 4, dtype=torch.float64)


def _told(network: nn.Module) -> dict[str, Tensor]:
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {**gradients, **dict(network.named_buffers())}
