"""What the calls of an arm take besides time: memory and energy."""

import random
import statistics
import time
from collections.abc import Callable, Mapping

import torch

from runners.timing.calls import PreparedArm

_CALLS_FOR_MEMORY = 8
BLOCKS = 3
# The counter moves every tenth of a second or so: of a shorter block it is too coarse.
_LONGEST_S, _SHORTEST_S = 2.0, 1.0
_SETTLE_S = 0.3  # before each block, for the power to become that of its arm


def peak_memory_mb(arm: PreparedArm, device: torch.device) -> float | None:
    """Return what this arm alone would hold: its weights and the peak of one call above rest.

    The detectors of all arms are on the device together, so the device's own peak counts
    the weights of the others too. None on a CPU.
    """
    if device.type != "cuda":
        return None
    network = arm.detector.network
    tensors = [*network.parameters(), *network.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    peak = 0
    for number in range(_CALLS_FOR_MEMORY):
        arm.prepare(number)
        at_rest = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        arm.call(number)
        peak = max(peak, torch.cuda.max_memory_allocated(device) - at_rest)
    return (weights + peak) / 2**20


def energy_per_image(
    steps: Mapping[str, Callable[[int], object]],
    read_mj: Callable[[], float | None],
    *,
    batch_size: int = 1,
    max_seconds: float = 60.0,
    seed: int = 0,
    wait: Callable[[], None] = lambda: None,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, float | None]:
    """Return millijoules per image of every step, the GPU's idle power while it runs included.

    Blocks of calls of one arm alternate in a freshly drawn order, so that a GPU that grows warm
    (and then draws more) favours none; the median of an arm's blocks is its energy. The device is
    waited for after each call, as in timed ones. None for all without a counter, or where
    `max_seconds` leaves less than a second to a block; None for a step under which the counter
    stood still.

    `read_mj` returns the energy drawn so far; `wait` returns when the device is idle.
    """
    block_s = min(_LONGEST_S, max_seconds / (BLOCKS * len(steps)) - _SETTLE_S)
    if read_mj() is None or block_s < _SHORTEST_S:
        return dict.fromkeys(steps)

    def run(step: Callable[[int], object], seconds: float) -> int:
        end, calls = now() + seconds, 0
        while calls == 0 or now() < end:
            step(calls)
            wait()
            calls += 1
        return calls

    order = random.Random(seed)
    blocks: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(BLOCKS):
        for name in order.sample(sorted(steps), k=len(steps)):
            run(steps[name], _SETTLE_S)
            before = read_mj()
            calls = run(steps[name], block_s)
            after = read_mj()
            if before is not None and after is not None and after > before:
                blocks[name].append((after - before) / calls / batch_size)
    return {name: statistics.median(values) if values else None for name, values in blocks.items()}
