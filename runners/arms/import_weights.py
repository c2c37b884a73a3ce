"""Turn a released YOLACT .pth into a checkpoint of ours: final.pt, and run.yaml beside it."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from runners.training.checkpoint import save_final
from runners.units.unit import run_yaml
from yolact_bench.build import build_network, load_weights, recognise_weights
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.files import write_atomically
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.file_hash import file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import wrote."""

    arm: str  # preset or path that the weights belong to
    weights: Path
    run: Path


def import_weights(file: Path, *, arm: str | None, out: Path) -> ImportResult:
    """Write the weights of `file` and the run that they belong to into the folder `out`.

    Without `arm` the configuration is recognised by keys and shapes, and by the file's name
    where several are alike.

    Raises:
        SpecError: not a released file, or its configuration is ambiguous.
    """
    arm = arm or recognise_weights(file)
    run = resolve_architecture(read_run(arm, relative_to=Path()))
    network = build_network(run, initial=False)
    load_weights(network, file)
    out.mkdir(parents=True, exist_ok=True)
    # <config>_<epoch>_<iteration>.pth
    match = re.fullmatch(r".+_\d+_(\d+)(?:_interrupt)?\.pth", file.name)
    facts = {
        "imported_from": file.name,
        "sha256": file_sha256(file),
        "iterations": int(match[1]) if match else 0,
        # The training is unknown.
        "seconds": 0.0,
        "images_per_second": 0.0,
        "skipped_annotations": 0,
        "peak_memory_mb": None,
    }
    save_final(out / "final.pt", facts=facts, network=network)
    write_atomically(out / "run.yaml", run_yaml(run))
    return ImportResult(arm=arm, weights=out / "final.pt", run=out / "run.yaml")


def show(result: ImportResult, *, as_json: bool) -> None:
    """Print the files and the command that evaluates them."""
    if as_json:
        typer.echo(json.dumps(asdict(result), default=str))
        return
    typer.echo(f"{result.arm}: {result.weights}, {result.run}")
    typer.echo(f"  yolact-bench evaluate {result.run} --weights {result.weights} --dataset coco")
