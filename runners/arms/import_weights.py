"""Weights from elsewhere as a checkpoint with its run, or a checkpoint as a file of safetensors."""

import re
from pathlib import Path

from runners.training.checkpoint import save_final
from runners.units.unit import run_yaml
from yolact_bench.build import build_network
from yolact_bench.errors import SpecError
from yolact_bench.file_hash import file_sha256
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.files import make_folder, write_atomically
from yolact_bench.spec.base_run import read_run
from yolact_bench.weights.load import load_weights, recognise_weights
from yolact_bench.weights.safetensors_file import SUFFIX
from yolact_bench.weights.state_file import read_state
from yolact_bench.work_names import FINAL, RUN


def write_import(file: Path, out: Path, *, arm: str | None) -> tuple[str, Path, Path]:
    """Return the arm of weights, and where they and its run were written.

    `out` is a folder, for final.pt, or a file that ends in .safetensors; run.yaml lies beside.
    Without an arm it is that of `arm_of`.

    Raises:
        SpecError: no file of weights, its configuration is ambiguous, or the run of others lies
            where its own belongs.
    """
    weights = out if out.suffix == SUFFIX else out / FINAL
    run_file = weights.with_name(RUN)
    arm = arm or arm_of(file)
    run = resolve_architecture(read_run(arm, relative_to=Path()))
    content = run_yaml(run)
    if out == weights and run_file.is_file() and run_file.read_text() != content:
        raise SpecError(f"--out {out}: {run_file} is of another run; name another folder")
    network = build_network(run, initial=False)
    load_weights(network, file, classes=run.classes)
    make_folder(weights.parent)
    save_final(weights, run=run, facts=_facts_of(file), network=network)
    write_atomically(run_file, content)
    return arm, weights, run_file


def arm_of(weights: Path) -> str:
    """Return the arm of a file of weights: the run.yaml beside it, or the preset that it fits.

    Raises:
        SpecError: neither is known.
    """
    beside = weights.parent / RUN
    if beside.is_file():
        return str(beside)
    if weights.suffix == Path(FINAL).suffix:
        raise SpecError(f"{weights}: no {RUN} lies beside it; name the arm with --arm")
    return recognise_weights(weights)


def _facts_of(file: Path) -> dict[str, object]:
    """Return what is known of the training of imported weights."""
    own = read_state(file, where="weights").get("facts")
    # <config>_<epoch>_<iteration>.pth
    match = re.fullmatch(r".+_\d+_(\d+)(?:_interrupt)?\.pth", file.name)
    unknown = {
        "iterations": int(match[1]) if match else 0,
        "seconds": 0.0,
        "images_per_second": 0.0,
        "skipped_annotations": 0,
        "peak_memory_mb": None,
    }
    facts = own if isinstance(own, dict) else unknown
    return {"imported_from": file.name, "sha256": file_sha256(file), **facts}
