"""When tasks of known length would run on a number of equal devices: a simulation, no clock."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work that holds a number of devices for a time, once all that it waits for has ended."""

    key: str
    seconds: float
    devices: int = 1
    after: tuple[str, ...] = ()  # keys of other tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A task and when it would run, in seconds from the start."""

    task: Task
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What list scheduling makes of tasks on a number of devices."""

    num_devices: int
    placed: tuple[Placed, ...]  # in the order of their starts
    chain: tuple[Task, ...]  # the critical path: no number of devices is faster

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return max((one.end for one in self.placed), default=0.0)

    @property
    def busy_seconds(self) -> float:
        """Device-seconds of all tasks."""
        return sum(one.task.seconds * one.task.devices for one in self.placed)

    @property
    def idle_seconds(self) -> float:
        """Device-seconds in which a device waits for the last task to end."""
        return self.num_devices * self.seconds - self.busy_seconds

    @property
    def used(self) -> float:
        """The share of all device-seconds in which a device works; 1 without tasks."""
        whole = self.num_devices * self.seconds
        return self.busy_seconds / whole if whole else 1.0

    @property
    def chain_seconds(self) -> float:
        """The length of the critical path."""
        return sum(task.seconds for task in self.chain)


def simulate(tasks: Sequence[Task], num_devices: int) -> Schedule:
    """Return the schedule in which a free device always takes the task with most behind it.

    Most behind it: the longest chain of tasks that begins with it; of equals, the first in
    `tasks`. A task for which too few devices are free lets smaller ones pass. Such a schedule
    takes at most twice the shortest possible time where every task holds one device.
    """
    assert all(task.devices <= num_devices for task in tasks), "a task needs more than there is"
    assert len({task.key for task in tasks}) == len(tasks), "two tasks of one key"
    tails = _tails(tasks)
    waiting = sorted(tasks, key=lambda task: -_length(tails[task.key]))
    running: list[tuple[float, int]] = []  # when a placed task ends, and its place
    placed: list[Placed] = []
    ended: set[str] = set()
    free, now = num_devices, 0.0
    while waiting:
        held: list[Task] = []
        for task in waiting:
            if task.devices <= free and ended.issuperset(task.after):
                free -= task.devices
                heapq.heappush(running, (now + task.seconds, len(placed)))
                placed.append(Placed(task=task, start=now, end=now + task.seconds))
            else:
                held.append(task)
        waiting = held
        if waiting:
            now, place = heapq.heappop(running)
            free += placed[place].task.devices
            ended.add(placed[place].task.key)
    chain = max(tails.values(), key=_length, default=())
    return Schedule(num_devices=num_devices, placed=tuple(placed), chain=chain)


def enough_devices(tasks: Sequence[Task]) -> int:
    """Return a number of devices with which the schedule is as short as with one for every task.

    It is found by halving: fewer may do where list scheduling is luckier with fewer devices.
    """
    most = sum(task.devices for task in tasks)
    best = simulate(tasks, most).seconds
    low, high = max((task.devices for task in tasks), default=0), most
    while low < high:
        middle = (low + high) // 2
        if simulate(tasks, middle).seconds <= best:
            high = middle
        else:
            low = middle + 1
    return high


def _tails(tasks: Sequence[Task]) -> Mapping[str, tuple[Task, ...]]:
    """Return the longest chain of tasks that begins with each task."""
    followers: dict[str, list[Task]] = {task.key: [] for task in tasks}
    for task in tasks:
        for key in task.after:
            followers[key].append(task)
    tails: dict[str, tuple[Task, ...]] = {}
    begun: set[str] = set()

    def tail(task: Task) -> tuple[Task, ...]:
        if task.key not in tails:
            assert task.key not in begun, "tasks wait for one another in a circle"
            begun.add(task.key)
            tails[task.key] = (
                task,
                *max((tail(one) for one in followers[task.key]), key=_length, default=()),
            )
        return tails[task.key]

    for task in tasks:
        tail(task)
    return tails


def _length(chain: Sequence[Task]) -> float:
    return sum(task.seconds for task in chain)
