"""Training schedules: how many iterations, at which batch size and learning rate.

Face: `Schedule`, `SCHEDULES`.
"""

from collections.abc import Mapping

from yolact_bench.schedule.curves import cosine, steps
from yolact_bench.schedule.schedule import MakeSchedule, Schedule

__all__ = ["SCHEDULES", "MakeSchedule", "Schedule"]

SCHEDULES: Mapping[str, MakeSchedule] = {"steps": steps, "cosine": cosine}
