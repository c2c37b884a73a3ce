"""The command `latency`."""

from typing import Annotated

import typer

from runners.options import (
    WORK,
    AsJson,
    DataRoot,
    Dataset,
    Device,
    Rounds,
    Set,
    Weights,
    WorkDir,
)


def latency(
    arms: Annotated[list[str], typer.Argument(help="presets or run.yaml files", metavar="ARM…")],
    weights: Weights = None,
    dataset: Dataset = None,
    settings: Set = None,
    work_dir: WorkDir = WORK,
    data_root: DataRoot = None,
    device: Device = None,
    rounds: Rounds = 100,
    as_json: AsJson = False,
) -> None:
    """Time arms together: one image at a time, in alternating rounds."""
    from runners import commands, singles

    singles.latency(
        arms,
        weights=weights,
        dataset=dataset,
        settings=settings or [],
        place=commands.workplace(work_dir, device, None, None),
        data_root=data_root,
        rounds=rounds,
        as_json=as_json,
    )
