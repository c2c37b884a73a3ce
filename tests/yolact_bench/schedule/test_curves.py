"""Learning rates over a training."""

import pytest

from yolact_bench.schedule import SCHEDULES
from yolact_bench.schedule.curves import Cosine


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_and_ends_lower(name: str) -> None:
    """Linear from 1e-4 to 1e-3 over 500 iterations: 5.5e-4 at 250."""
    schedule = SCHEDULES[name]()
    rates = [schedule.lr_at(i) for i in (0, 250, 500)]
    assert rates == pytest.approx([1e-4, 5.5e-4, 1e-3])
    assert 0 <= schedule.lr_at(schedule.iterations - 1) < rates[2]


def test_a_cosine_is_halfway_down_in_the_middle() -> None:
    """Between warm-up's end at 100 and 1100: (1e-3 + 1e-5) / 2 at 600, 1e-5 at 1100."""
    schedule = Cosine(iterations=1100, warmup=100, final_lr=1e-5)
    assert schedule.lr_at(600) == pytest.approx(5.05e-4)
    assert schedule.lr_at(1100) == pytest.approx(1e-5)
