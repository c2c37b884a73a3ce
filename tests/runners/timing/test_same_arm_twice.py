"""The instrument's own proof on a real machine: an arm timed against itself comes out equal."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import torch

from runners.timing.clocks import TIMERS, CallTime
from runners.timing.images import as_picture
from runners.timing.session import time_session
from yolact_bench.build import load_detector
from yolact_bench.loads import constant_load
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.statistics.timing import rel_half_width

REPEATS = 20
OTHERS = 0.1  # cores; on a machine that is otherwise idle


def cpu_time(call: Callable[[], object]) -> CallTime:
    """Time that all threads of this process were busy: other programs do not lengthen it."""
    start = time.process_time_ns()
    call()
    ms = (time.process_time_ns() - start) / 1e6
    return CallTime(ms, ms)


@pytest.mark.slow
@pytest.mark.parametrize("timer", ["CPU time", "wall clock"])
def test_of_twenty_sessions_most_find_an_arm_equal_to_itself(
    timer: str,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At least 17 of 20 intervals of 95 % contain 1, with a median half-width of at most 1.5 %.

    With a true coverage of 95 % fewer than 17 has a chance of 1.6 %. yolact_tiny at 72 px, one
    thread, 5 detections an image. Other programs widen the intervals of the wall clock, as they
    should: its width is judged on a machine that is otherwise idle, that of the process's own
    time on any.
    """
    monkeypatch.setitem(TIMERS, "CPU time", cpu_time)  # type: ignore[arg-type]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        detector = load_detector("yolact_tiny", image_size=72)
        random = np.random.default_rng(0)
        pictures = [
            as_picture(n, random.integers(0, 255, (120, 160, 3), dtype=np.uint8)) for n in range(8)
        ]
        contain, widths = 0, []
        others = []  # cores that other programs kept busy
        for seed in range(REPEATS):
            times = time_session(
                {"arm": detector},
                pictures,
                scenario="end_to_end",
                plan=LatencyPlan(twin=True, rel_ci=0.012, max_s=15.0),
                rounds=162,
                loads={"arm": constant_load(5)},
                seed=seed,
                timer=timer,
            )
            protocol = times["arm"].protocol
            low, high = protocol.twin_interval
            contain += low <= 1 <= high
            widths.append(rel_half_width((low, high)))
            others.append(times["arm"].facts.host.others_cores or 0.0)
            assert bool(times["arm"].invalid) == (not low <= 1 <= high)
    finally:
        torch.set_num_threads(threads)
    record_property("contain", contain)
    record_property("rel_half_width", median(widths))
    assert contain >= 17
    if timer == "wall clock" and max(others) > OTHERS:
        pytest.skip(
            f"{contain} of {REPEATS} contain 1; half-width {median(widths):.2%}; other programs "
            f"kept {max(others):.1f} cores busy, so the width says nothing"
        )
    assert median(widths) <= 0.015
