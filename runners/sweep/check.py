"""A sweep checked as a whole before its first trial."""

from dataclasses import dataclass
from pathlib import Path

from runners.sweep.samplers import pruner_of
from runners.sweep.trial import TrialFactory
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.space import MOST_SETS, all_params
from yolact_bench.spec.sweep.sweep import SweepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSweep:
    """A sweep whose whole space has been checked."""

    spec: SweepSpec
    factory: TrialFactory
    base: Unit
    corners: tuple[Run, ...]  # every component and end of a range once


def check_sweep(
    spec: SweepSpec, place: Workplace, data_root: Path | None, *, data: bool = True
) -> CheckedSweep:
    """Return the sweep with its base and the corners of its space, built on the meta device.

    Without `data` the files of the data set are not looked at; such a sweep cannot be run.

    Raises:
        SpecError: whatever could be known to fail before the first trial.
    """
    if spec.tries_all and all_params(spec.space) is None:
        raise SpecError(
            f"{spec.where('sampler')}: a grid needs a finite space of at most {MOST_SETS:,} sets; "
            "give every range a step, or write sampler: tpe"
        )
    pruner_of(spec)
    factory = TrialFactory(spec=spec, place=place, data_root=data_root, data=data)
    return CheckedSweep(
        spec=spec,
        factory=factory,
        base=factory.base(),
        corners=tuple(factory.check_corners()),
    )
