"""One list of tasks at several numbers of devices, and what was assumed for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runners.planning.simulation import Schedule, Task, enough_devices, simulate
from yolact_bench.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Schedules at several numbers of devices; none where the time of a task is unknown."""

    devices: int  # of each training
    efficiency: float
    assumption: str  # about several devices of one training; empty for one
    schedules: tuple[Schedule, ...]
    enough: int  # devices with which the wall time is shortest
    titles: Mapping[str, str]  # what people call a task, by its key


def scaled(
    tasks: Callable[[int, float], Sequence[Task] | None],
    numbers: Sequence[int],
    *,
    devices: int = 1,
    efficiency: float | None = None,
    titles: Mapping[str, str],
) -> Scaled:
    """Return schedules of `tasks(devices, efficiency)` on each number of devices.

    Without an efficiency the best that could be is assumed, and said to be.

    Raises:
        SpecError: an efficiency that is none, or fewer devices than one training takes.
    """
    if efficiency is not None and not 0 < efficiency <= 1:
        raise SpecError(
            f"--scaling-efficiency {efficiency}: expected a share of the ideal speed-up, "
            "above 0 and at most 1"
        )
    for number in numbers:
        if number < devices:
            raise SpecError(
                f"{number} devices cannot hold one training on {devices}; ask for {devices} or more"
            )
    reached = 1.0 if devices == 1 or efficiency is None else efficiency
    made = tasks(devices, reached)
    return Scaled(
        devices=devices,
        efficiency=reached,
        assumption=_assumption(devices, efficiency),
        schedules=() if made is None else tuple(simulate(made, number) for number in numbers),
        enough=0 if made is None else enough_devices(made),
        titles=titles,
    )


def _assumption(devices: int, efficiency: float | None) -> str:
    if devices == 1:
        return ""
    if efficiency is None:
        return "assumes an ideal speed-up; give --scaling-efficiency"
    return f"assumes {efficiency:.0%} of the ideal speed-up, as given"
