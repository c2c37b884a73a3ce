"""Training schedules: iterations, batch size, learning rate and optimizer.

Public: `Schedule`, `SCHEDULES`, `OPTIMIZERS`.
"""

from collections.abc import Mapping

from yolact_bench.schedule.curves import Cosine, Steps
from yolact_bench.schedule.optimizers import OPTIMIZERS
from yolact_bench.schedule.schedule import MakeSchedule, Schedule

__all__ = ["OPTIMIZERS", "SCHEDULES", "MakeSchedule", "Schedule"]

SCHEDULES: Mapping[str, MakeSchedule] = {"steps": Steps, "cosine": Cosine}
