"""The command `import-weights`."""

from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import WORK, AsJson


def import_weights(
    file: Annotated[Path, typer.Argument(help="a released YOLACT file", metavar="FILE.pth")],
    arm: Annotated[
        str | None, typer.Option(help="a preset or run.yaml; default: recognised by keys and name")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder; default: work/imported/<name>")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn released YOLACT weights into a checkpoint: final.pt, and run.yaml beside it."""
    from runners.arms import import_weights as importing

    folder = out or WORK / "imported" / file.stem
    importing.tell(importing.import_weights(file, arm=arm, out=folder), as_json=as_json)
