"""The simulated schedule, against schedules made by hand and bounds that hold for any."""

import random

import pytest

from runners.planning.simulation import Simulation, Task, enough_devices, simulate


def tasks(*seconds: float) -> list[Task]:
    return [Task(key=f"t{row}", seconds=length) for row, length in enumerate(seconds)]


def starts(schedule: Simulation) -> dict[str, float]:
    return {one.task.key: one.start for one in schedule.spans}


def test_the_longest_task_goes_first() -> None:
    """2, 3, 4, 5, 6 on two devices: 6 and 5; 4 after 5 (9), 3 after 6 (9), 2 after either (11)."""
    schedule = simulate(tasks(2, 3, 4, 5, 6), 2)
    assert starts(schedule) == {"t4": 0, "t3": 0, "t2": 5, "t1": 6, "t0": 9}
    assert schedule.seconds == 11
    assert schedule.busy_seconds == 20
    assert schedule.idle_seconds == 2 * 11 - 20
    assert schedule.utilisation == 20 / 22


def test_a_task_waits_for_those_that_it_comes_after() -> None:
    """Timing (1 s) waits for both trainings (4 s and 2 s): 4 + 1; the 2 s are off that path."""
    schedule = simulate(
        [*tasks(4, 2), Task(key="timing", seconds=1, after=("t0", "t1"))], num_devices=3
    )
    assert starts(schedule)["timing"] == 4
    assert schedule.seconds == schedule.chain_seconds == 5
    assert [task.key for task in schedule.chain] == ["t0", "timing"]


def test_a_short_task_with_much_behind_it_goes_before_a_longer_one() -> None:
    """1 s and then 5 s are 6 s, and two of 3 s fill the other device: 6 s if the 1 s goes first."""
    chain = [Task(key="first", seconds=1), Task(key="second", seconds=5, after=("first",))]
    schedule = simulate([*tasks(3), Task(key="t1", seconds=3), *chain], 2)
    assert starts(schedule)["first"] == 0
    assert schedule.seconds == 6 == (3 + 3 + 1 + 5) / 2


def test_a_wide_task_holds_all_its_devices_and_lets_smaller_ones_pass() -> None:
    """Of 3 devices one holds `long`; `wide` needs 3 and waits 5 s, in which 2 × 1 s pass it."""
    wide = Task(key="wide", seconds=4, devices=3)
    schedule = simulate([Task(key="long", seconds=5), wide, *tasks(1, 1)], 3)
    assert starts(schedule) == {"long": 0, "t0": 0, "t1": 0, "wide": 5}
    assert schedule.busy_seconds == 5 + 4 * 3 + 1 + 1


def test_more_devices_than_tasks_help_nothing() -> None:
    """6, 3, 3 take 6 s on two devices, and never less: two are enough."""
    assert enough_devices(tasks(6, 3, 3)) == 2
    assert simulate(tasks(6, 3, 3), 512).seconds == 6
    assert simulate(tasks(6, 3, 3), 512).utilisation == 12 / (512 * 6)


def test_nothing_takes_no_time() -> None:
    assert simulate([], 8).seconds == 0
    assert enough_devices([]) == 0


def test_a_task_that_fits_on_no_machine_is_refused() -> None:
    with pytest.raises(AssertionError, match="needs more"):
        simulate([Task(key="wide", seconds=1, devices=9)], 8)


@pytest.mark.parametrize("seed", range(20))
def test_no_schedule_beats_its_bounds_nor_uses_a_device_twice(seed: int) -> None:
    """At least the critical path and the work over N; at most their sum (Graham's bound)."""
    draw = random.Random(seed)
    made: list[Task] = []
    for row in range(draw.randint(1, 30)):
        after = tuple(one.key for one in made if draw.random() < 0.1)
        made.append(Task(key=f"t{row}", seconds=draw.randint(1, 9), after=after))
    num = draw.randint(1, 6)
    schedule = simulate(made, num)
    work = sum(task.seconds for task in made) / num
    assert schedule.seconds >= max(schedule.chain_seconds, work)
    assert schedule.seconds <= schedule.chain_seconds + work
    ends = {one.task.key: one.end for one in schedule.spans}
    assert len(ends) == len(made)
    for one in schedule.spans:
        assert all(ends[key] <= one.start for key in one.task.after)
        at_once = [o for o in schedule.spans if o.start <= one.start < o.end]
        assert len(at_once) <= num
    assert simulate(made, num) == schedule
