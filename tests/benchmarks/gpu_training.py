"""Training steps on a batch that lies ready: images a second without a loader."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from runners.training.loop import Loop, TrainingOptions
from tests.benchmarks.gpu_size import Part, Size, timed_together
from yolact_bench.build import (
    build_losses_for,
    build_network,
    build_schedule,
    build_training_loader,
)
from yolact_bench.data import open_dataset
from yolact_bench.data.batch import Batch
from yolact_bench.resolve import resolve_architecture, resolve_run
from yolact_bench.spec.base_run import change, read_run
from yolact_bench.spec.run import Run


def training_part(preset: str, size: Size, device: torch.device) -> Part:
    """Return the times of steps with each implementation of the deformable layers."""
    run = _run(preset, size)
    batch = _batch(run, size).to(device)
    deformed = run.dcn["name"] != "nowhere"
    names = ["torchvision", *([_fast(device)] if deformed else [])]
    with tempfile.TemporaryDirectory() as folder:
        steps = {
            f"bf16, {name}" if deformed else "bf16": _step(
                run.changed({"deform": {"name": name}}), batch, device, Path(folder) / name
            )
            for name in names
        }
        times = timed_together(steps, device, size)
    return {
        "kind": "training",
        "preset": preset,
        "batch": len(batch.images),
        "arms": {
            name: {**told, "images_per_second": 1000 * len(batch.images) / _ms(told)}
            for name, told in times.items()
        },
    }


def _fast(device: torch.device) -> str:
    return "triton" if device.type == "cuda" else "gather"


def _ms(told: Mapping[str, object]) -> float:
    ms = told["median_ms"]
    assert isinstance(ms, float)
    return ms


def _run(preset: str, size: Size) -> Run:
    run = read_run(preset, relative_to=Path())
    if size.image_size is not None:
        run = run.changed({"image_size": size.image_size})
    run = change(run, "schedule.batch_size", size.train_batch, relative_to=Path())
    slots = {"precision": "bf16", "init": {"name": "none"}, "batch_norm": {"name": "train"}}
    return resolve_architecture(run.changed(slots))


def _batch(run: Run, size: Size) -> Batch:
    """Return one augmented batch of drawn images; their five classes are among any others."""
    shapes = {
        "name": "shapes",
        "train_images": size.train_batch,
        "val_images": 1,
        "size": max(96, min(run.image_size, 640)),
    }
    drawn, data = resolve_run(run.changed({"dataset": shapes}), data_root=None, split="train")
    dataset = open_dataset(data, "train")
    with torch.device("meta"):
        network = build_network(drawn, initial=False)
    loader = build_training_loader(drawn, network, dataset, start_iteration=0, workers=0)
    batch: Batch = next(iter(loader))
    return batch


def _step(run: Run, batch: Batch, device: torch.device, folder: Path) -> object:
    torch.manual_seed(0)
    network = build_network(run, initial=False).to(device).to(memory_format=torch.channels_last)
    how = TrainingOptions(device=str(device), workers=0)
    loop = Loop(run, network, build_schedule(run), build_losses_for(run, network), folder, how)

    def step() -> None:
        loop.step(batch)
        loop.window.clear()

    return step
