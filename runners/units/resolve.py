"""A unit from an arm and settings on the command line."""

from collections.abc import Sequence
from pathlib import Path

from runners.units.check import check
from runners.units.lr_scaling import KEEP, scale_run
from runners.units.settings import parse_settings
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.spec.base_run import apply_settings, change, read_run
from yolact_bench.spec.run import Run


def resolve_unit(
    arm: str,
    dataset: str | None,
    settings: Sequence[str],
    place: Workplace,
    data_root: Path | None,
    *,
    split: str,
    scaling: str = KEEP,
    devices: int = 1,
) -> Unit:
    """Return one arm, checked, with the settings of the command line.

    With a `scaling` it is the arm as it is trained on `devices` devices.

    Raises:
        SpecError: a fault of the arm or of a setting.
    """
    run: Run = read_run(arm, relative_to=Path())
    if dataset is not None:
        run = change(run, "dataset", dataset, relative_to=Path())
    run = apply_settings(run, parse_settings(settings))
    run = scale_run(run, scaling=scaling, devices=devices)
    resolved, data = check(run, where=arm, data_root=data_root, device=place.device, split=split)
    return Unit(
        ablation="", arm=Path(arm).stem, seed=resolved.seed, run=resolved, data=data, split=split
    )
