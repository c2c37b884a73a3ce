"""What can be said of the choices of a spec that is wrong elsewhere: slot by slot, without files.

So all that is wrong with a spec is in one message.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

from runners.units.check_parts import Part, check_parts
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import Faults, MissingDataError
from yolact_bench.resolve import resolve_slots
from yolact_bench.spec.ablation import Arm
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.space import Space, corners
from yolact_bench.spec.sweep.sweep import vary
from yolact_bench.yaml_source import Source


def check_arm_choices(arms: Sequence[Arm], baseline: object) -> None:
    """Check the choices of every arm.

    Raises:
        SpecError: all that is wrong with them, with the places of the arms.
    """
    check = _checker()
    parts = [
        Part(where=arm.where, paths=arm.changes, check=partial(check, arm.full)) for arm in arms
    ]
    base = next((arm.where for arm in arms if arm.name == baseline), None)
    check_parts(parts, base=base)


def check_space_choices(source: Source, run: Run, space: Space) -> None:
    """Check the choices of a sweep's base, and of every component and end of a range once.

    Raises:
        SpecError: all that is wrong with them, with their places.
    """
    check, base = _checker(), source.where(("base",))

    def check_corner(changes: Mapping[str, object]) -> None:
        check(vary(source, run, changes))

    parts = [
        Part(
            where=source.where(("space", *keys)),
            paths=changes,
            check=partial(check_corner, changes),
        )
        for keys, changes in corners(space)
    ]
    check_parts([Part(where=base, paths=(), check=partial(check, run)), *parts], base=base)


def _checker() -> Callable[[Run], None]:
    """Return what checks the choices of a run, and reads every data set once."""

    @cache
    def classes_of(dataset: str) -> tuple[str, ...]:
        return resolve_dataset(json.loads(dataset), data_root=None).classes

    def check(run: Run) -> None:
        faults = Faults()
        classes = run.evaluation.classes or run.classes  # where those of the data are not known
        with faults.part(), suppress(MissingDataError):
            classes = classes_of(json.dumps(run.dataset, default=str))
        with faults.part():
            resolve_slots(replace(run, classes=classes))
        faults.raise_any()

    return check
