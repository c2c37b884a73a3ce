"""`yolact-bench data …`: write or check data sets."""

from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import DataRoot

app = typer.Typer(help="Write or check data sets.", no_args_is_help=True)


@app.command("shapes")
def data_shapes(
    folder: Annotated[Path, typer.Argument(help="where to write; must not exist or be empty")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="seed, train_images, val_images, …"),
    ] = None,
) -> None:
    """Write the embedded shapes as a COCO-format folder."""
    from runners.units.settings import parse_settings
    from runners.workdir import dataset_files as datasets

    typer.echo(datasets.write_shapes(folder, parse_settings(settings or [])))


@app.command("check")
def data_check(
    dataset: Annotated[str, typer.Argument(help="coco, sbd, shapes, or a dataset.yaml")],
    strict: Annotated[bool, typer.Option(help="exit 2 on any degenerate annotation")] = False,
    data_root: DataRoot = None,
) -> None:
    """Read a data set as training would, and list every annotation it would leave out."""
    from runners.arms import single as singles

    singles.data_check(dataset, strict=strict, data_root=data_root)
