"""What the calls of an arm take besides time: memory and energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from runners.timing.device.watch import DeviceWatch
from runners.timing.energy import energy_per_image

_CALLS_FOR_MEMORY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A call of an arm, and what has to be done before it."""

    network: nn.Module
    prepare: Callable[[int], object]
    step: Callable[[int], object]

    def __call__(self, number: int) -> object:
        """Prepare and call."""
        self.prepare(number)
        return self.step(number)


def peak_memory_mb(arm: Caller, device: torch.device) -> float | None:
    """Return what this arm alone would hold: its weights and the peak of one call above rest.

    The detectors of all arms are on the device together, so the device's own peak counts
    the weights of the others too. None on a CPU.
    """
    if device.type != "cuda":
        return None
    tensors = [*arm.network.parameters(), *arm.network.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    peak = 0
    for number in range(_CALLS_FOR_MEMORY):
        arm.prepare(number)
        at_rest = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        arm.step(number)
        peak = max(peak, torch.cuda.max_memory_allocated(device) - at_rest)
    return (weights + peak) / 2**20


def energies_mj(
    arms: Mapping[str, Caller],
    watched: DeviceWatch,
    device: torch.device,
    *,
    batch_size: int,
    max_seconds: float,
    seed: int,
) -> dict[str, float | None]:
    """Return the energy of one image of each arm; None where no counter is."""
    if device.type != "cuda":
        return dict.fromkeys(arms)
    return energy_per_image(
        arms,
        lambda: watched.energy_mj,
        batch_size=batch_size,
        max_seconds=max_seconds,
        seed=seed,
        wait=lambda: torch.cuda.synchronize(device),
    )
