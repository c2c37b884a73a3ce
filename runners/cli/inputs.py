"""What `yolact-bench data check` and `import-weights` do: files from elsewhere."""

import json
from pathlib import Path

import typer

from runners.arms.import_weights import write_import
from runners.cli.arm_commands import ImportWeightsCommand
from runners.cli.options import WORK
from runners.system.output import echo
from runners.system.progress import scan_progress
from runners.workdir.dataset_files import count_splits
from runners.workdir.decode_images import decode_images
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.findings import count_kinds, counts_text, finding_lines, strict_kinds
from yolact_bench.work_names import CACHE


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
    """Write weights and the run that they belong to, and print where they are.

    Raises:
        SpecError: no file of weights, or its configuration is ambiguous.
    """
    out = command.out or WORK / "imported" / command.file.stem
    arm, weights, run_file = write_import(command.file, out, arm=command.arm)
    if command.as_json:
        echo(json.dumps({"arm": arm, "weights": str(weights), "run": str(run_file)}))
        return
    echo(f"{arm}: {weights}, {run_file}")
    echo(f"  yolact-bench evaluate {run_file} --weights {weights} --dataset coco")
