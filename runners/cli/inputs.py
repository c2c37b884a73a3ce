"""What `yolact-bench data check` and `import-weights` do: files from elsewhere."""

import json
import re
from pathlib import Path

import typer

from runners.cli.arm_commands import ImportWeightsCommand
from runners.cli.options import WORK
from runners.system.output import echo
from runners.system.progress import scan_progress
from runners.training.checkpoint import save_final
from runners.units.unit import run_yaml
from runners.workdir.dataset_files import count_splits
from runners.workdir.decode_images import decode_images
from yolact_bench.build import build_network
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.file_hash import file_sha256
from yolact_bench.findings import count_kinds, counts_text, finding_lines, strict_kinds
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.files import write_atomically
from yolact_bench.spec.base_run import read_run
from yolact_bench.weights.load import load_weights, recognise_weights
from yolact_bench.work_names import CACHE, FINAL, RUN


def check_data(
    dataset: str, *, strict: str | None, images: bool, data_root: Path | None, work_dir: Path
) -> None:
    """Print what a data set holds and every finding; exit 2 at a finding of a kind in `strict`.

    With `images` all of them are decoded before; exit 2 if one is broken.
    """
    kinds = strict_kinds(strict)
    choice = dataset_choice(dataset, relative_to=Path())
    spec = resolve_dataset(choice, data_root=data_root, cache=work_dir / CACHE)
    is_broken = images and decode_images(spec, echo, scan_progress)
    counts = count_splits(spec)
    for count in counts:
        echo(
            f"{count.split}: {count.images} images ({count.images_without_objects} without "
            f"objects), {count.objects} objects, {count.crowds} crowd regions"
        )
        by_class = sorted(count.objects_by_class.items(), key=lambda item: -item[1])
        echo("  " + ", ".join(f"{name} {number}" for name, number in by_class))
        for line in finding_lines(count.findings):
            echo(f"  {line}")
    findings = [finding for count in counts for finding in count.findings]
    echo(counts_text(count_kinds(findings)) if findings else "no findings")
    if is_broken or not kinds.isdisjoint(count_kinds(findings)):
        raise typer.Exit(2)


def import_weights(command: ImportWeightsCommand) -> None:
    """Write the weights of a released file and the run that they belong to into a folder.

    Without an arm the configuration is recognised by keys and shapes, and by the file's name
    where several are alike.

    Raises:
        SpecError: not a released file, or its configuration is ambiguous.
    """
    file = command.file
    out = command.out or WORK / "imported" / file.stem
    weights, run_file = out / FINAL, out / RUN
    arm = command.arm or recognise_weights(file)
    run = resolve_architecture(read_run(arm, relative_to=Path()))
    network = build_network(run, initial=False)
    load_weights(network, file, classes=run.classes)
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
    save_final(weights, run=run, facts=facts, network=network)
    write_atomically(run_file, run_yaml(run))
    if command.as_json:
        echo(json.dumps({"arm": arm, "weights": str(weights), "run": str(run_file)}))
        return
    echo(f"{arm}: {weights}, {run_file}")
    echo(f"  yolact-bench evaluate {run_file} --weights {weights} --dataset coco")
