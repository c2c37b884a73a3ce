"""When tasks of known length would run on a number of equal devices: a simulation, no clock."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from yolact_bench.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work that holds a number of devices for a time, once the tasks before it have ended."""

    key: str
    seconds: float
    devices: int = 1
    after: tuple[str, ...] = ()  # keys of other tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A task and when it runs, in seconds from the start."""

    task: Task
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The list schedule of tasks on a number of devices."""

    num_devices: int
    spans: tuple[Span, ...]  # in the order of their starts
    chain: tuple[Task, ...]  # the critical path: no number of devices is faster

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return max((span.end for span in self.spans), default=0.0)

    @property
    def busy_seconds(self) -> float:
        return sum(span.task.seconds * span.task.devices for span in self.spans)

    @property
    def idle_seconds(self) -> float:
        """Device-seconds in which a device waits for the last task to end."""
        return self.num_devices * self.seconds - self.busy_seconds

    @property
    def utilisation(self) -> float:
        """The share of all device-seconds in which a device works; 1 without tasks."""
        whole = self.num_devices * self.seconds
        return self.busy_seconds / whole if whole else 1.0

    @property
    def chain_seconds(self) -> float:
        return _length(self.chain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingStudy:
    """One list of tasks simulated at several numbers of devices."""

    devices: int  # per training
    efficiency: float
    assumption: str  # about several devices of one training; empty for one
    simulations: tuple[Simulation, ...]  # empty where the time of a task is unknown
    enough: int  # devices with which the wall time is shortest
    titles: Mapping[str, str]  # display name of a task, by its key


def simulate(tasks: Sequence[Task], num_devices: int) -> Simulation:
    """Simulate list scheduling: a free device takes the task that starts the longest chain.

    Of equals, the first in `tasks`. A task for which too few devices are free lets smaller ones
    pass. Such a schedule takes at most twice the shortest possible time where every task holds
    one device.
    """
    assert all(task.devices <= num_devices for task in tasks), "a task needs more than there is"
    assert len({task.key for task in tasks}) == len(tasks), "two tasks of one key"
    tails = _tails(tasks)
    waiting = sorted(tasks, key=lambda task: -_length(tails[task.key]))
    running: list[tuple[float, int]] = []  # when a span ends, and its index
    spans: list[Span] = []
    ended: set[str] = set()
    free, now = num_devices, 0.0
    while waiting:
        blocked: list[Task] = []
        for task in waiting:
            if task.devices <= free and ended.issuperset(task.after):
                free -= task.devices
                heapq.heappush(running, (now + task.seconds, len(spans)))
                spans.append(Span(task=task, start=now, end=now + task.seconds))
            else:
                blocked.append(task)
        waiting = blocked
        if waiting:
            now, index = heapq.heappop(running)
            free += spans[index].task.devices
            ended.add(spans[index].task.key)
    chain = max(tails.values(), key=_length, default=())
    return Simulation(num_devices=num_devices, spans=tuple(spans), chain=chain)


def enough_devices(tasks: Sequence[Task]) -> int:
    """Return a number of devices with which the schedule is as short as with one for every task.

    Found by bisection: fewer may do where list scheduling is luckier with fewer devices.
    """
    high = sum(task.devices for task in tasks)
    low = max((task.devices for task in tasks), default=0)
    best = simulate(tasks, high).seconds
    while low < high:
        middle = (low + high) // 2
        if simulate(tasks, middle).seconds <= best:
            high = middle
        else:
            low = middle + 1
    return high


def study_scaling(
    tasks: Callable[[int, float], Sequence[Task] | None],
    numbers: Sequence[int],
    *,
    devices: int = 1,
    efficiency: float | None = None,
    titles: Mapping[str, str],
) -> ScalingStudy:
    """Simulate `tasks(devices, speed_up)` on each number of devices.

    `speed_up` is that of a training over one device. Without an efficiency an ideal one is
    assumed, and stated.

    Raises:
        SpecError: fewer devices than one training takes.
    """
    for number in numbers:
        if number < devices:
            raise SpecError(
                f"{number} devices cannot hold one training on {devices}; ask for {devices} or more"
            )
    share, assumption = 1.0, ""
    if devices > 1 and efficiency is None:
        assumption = "assumes an ideal speed-up; give --scaling-efficiency"
    elif devices > 1 and efficiency is not None:
        share = efficiency
        assumption = f"assumes {efficiency:.0%} of the ideal speed-up, as given"
    work = tasks(devices, devices * share)
    return ScalingStudy(
        devices=devices,
        efficiency=share,
        assumption=assumption,
        simulations=() if work is None else tuple(simulate(work, number) for number in numbers),
        enough=0 if work is None else enough_devices(work),
        titles=titles,
    )


def _tails(tasks: Sequence[Task]) -> Mapping[str, tuple[Task, ...]]:
    """Return the longest chain of tasks that begins with each task."""
    followers: dict[str, list[str]] = {task.key: [] for task in tasks}
    for task in tasks:
        for key in task.after:
            followers[key].append(task.key)
    by_key = {task.key: task for task in tasks}
    tails: dict[str, tuple[Task, ...]] = {}
    for key in TopologicalSorter(followers).static_order():  # those that follow come first
        rest = max((tails[one] for one in followers[key]), key=_length, default=())
        tails[key] = (by_key[key], *rest)
    return {task.key: tails[task.key] for task in tasks}


def _length(chain: Sequence[Task]) -> float:
    return sum(task.seconds for task in chain)
