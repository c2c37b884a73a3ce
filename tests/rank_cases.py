"""Small trainings for several processes to share, and how to compare what comes of them."""

from dataclasses import replace
from pathlib import Path

import torch
from small_ablation import bench, planned, write_spec
from torch import Tensor

from runners.arm import Unit, Workplace

# Four images a batch, so that two ranks have two each.
SHARED = {"schedule.batch_size": 4}


def shared_unit(
    folder: Path, *, devices: int, changes: dict[str, object] | None = None
) -> tuple[Unit, Workplace]:
    """The baseline of the small ablation, with a batch that two can share."""
    folder.mkdir(exist_ok=True)
    at = bench(folder / "work")
    unit = planned(write_spec(folder), at).steps[0].unit
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
