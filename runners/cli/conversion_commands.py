"""The commands `data convert` and `data split`: data sets of other programs, and without splits."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options
from runners.system.output import echo
from yolact_bench.ranges import Fraction, Seed, Share

if TYPE_CHECKING:
    from yolact_bench.conversion.convert import CocoFiles

_Out = Annotated[Path, typer.Option(help="New folder for the annotation files.")]


def convert(
    source: Annotated[Path, typer.Argument(help="Folder of the data set, or YOLO's data.yaml.")],
    name: Annotated[
        str, typer.Option("--format", help="Format: yolo, labelme, voc, cityscapes or masks.")
    ],
    out: _Out,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes in label order, with commas between. Default: as the files name them."
        ),
    ] = None,
    split_areas: Annotated[
        bool | None,
        typer.Option(
            help="Of masks with one value: whether areas that do not touch are objects of their "
            "own. Default: such masks are refused."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a data set of another format as COCO files and a dataset.yaml; images stay in place."""
    from yolact_bench.conversion.convert import convert as write
    from yolact_bench.conversion.pictures import Settings

    names = tuple(word.strip() for word in classes.split(",")) if classes else ()
    settings = Settings(classes=names, split_areas=split_areas)
    _show(write(source, name, out, settings), as_json=as_json)


def split(
    annotations: Annotated[Path, typer.Argument(help="COCO annotation file of all images.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    out: _Out,
    val: Annotated[
        float, options.number(Share, "--val", help="Fraction of the images for validation.")
    ] = 0.2,
    test: Annotated[
        float, options.number(Fraction, "--test", help="Fraction of the images for a test split.")
    ] = 0.0,
    seed: Annotated[int, options.number(Seed, "--seed", help="Another seed, another split.")] = 0,
    group: Annotated[
        str,
        typer.Option(
            help="Regular expression of file names: images with the same match stay together."
        ),
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Cut an annotation file into train, val and test; copies of an image stay together."""
    from yolact_bench.conversion.cut import cut

    result = cut(annotations, images, out, val=val, test=test, seed=seed, group=group)
    _show(result, as_json=as_json)


def _show(files: "CocoFiles", *, as_json: bool) -> None:
    for line in [json.dumps(files.facts())] if as_json else files.lines():
        echo(line)
