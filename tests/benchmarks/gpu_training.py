"""Training steps: on a batch that lies ready, and with the loader that feeds them."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch

from runners.training.loop import Loop
from runners.training.options import TrainingOptions
from runners.training.step_graph import StepRecorder
from tests.benchmarks.gpu_size import Part, Size, timed_together
from yolact_bench.build import build_network
from yolact_bench.data import open_dataset
from yolact_bench.data.collate import Batch
from yolact_bench.resolve import resolve_architecture, resolve_run
from yolact_bench.runtime.cuda_graph import record_cuda_graph
from yolact_bench.spec.base_run import change, read_run
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import build_losses_for, build_schedule, build_training_loader


def training_part(preset: str, size: Size, device: torch.device, *, compiled: bool = False) -> Part:
    """Return the times of steps: with torchvision's deformable layers, then with fast ones.

    Of these on a GPU with SGD in a kernel for each of its operations, with SGD as it is, and with
    the whole step as one graph. `compiled`: of these alone with the network compiled, and in a
    graph too.
    """
    run = _run(preset, size)
    batch = _batch(run, size).to(device)
    deformed = run.dcn["name"] != "nowhere"
    fast = run.changed({"deform": {"name": _fast(device)}}) if deformed else run
    step = partial(_step, fast, batch, device)
    arms: dict[str, Callable[[], None]] = {}
    if deformed and not compiled:
        torchvision = run.changed({"deform": {"name": "torchvision"}})
        arms["bf16, torchvision"] = _step(torchvision, batch, device)
    if device.type == "cuda" and not compiled:
        arms["bf16, SGD in parts"] = step(fused=False)
    arms["bf16"] = step()
    if compiled:
        arms["bf16, compiled"] = step(compile_network=True)
    if device.type == "cuda":
        arms["bf16, graph"] = step(recorder=record_cuda_graph)
        if compiled:
            both = step(recorder=record_cuda_graph, compile_network=True)
            arms["bf16, compiled, graph"] = both
    times = timed_together(arms, device, size)
    return {
        "kind": "training",
        "preset": preset,
        "batch": len(batch.images),
        "arms": {
            name: {**told, "images_per_second": 1000 * len(batch.images) / _ms(told)}
            for name, told in times.items()
        },
    }


def loader_part(preset: str, size: Size, device: torch.device) -> Part:
    """Return how long steps take with the loader that feeds them, and how long they wait for it.

    With the preset's own batch size. The steps of the first third warm up and do not count.
    """
    run = _run(preset, size).changed({"deform": {"name": _fast(device)}})
    run = change(run, "schedule.batch_size", min(8, size.train_batch), relative_to=Path())
    workers = min(14, max(0, (os.cpu_count() or 1) - 2))
    loader = _loader(run, size, images=64 * size.train_batch // 8, workers=workers)
    waits, steps, batch = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        loop = _loop(run, Path(folder), TrainingOptions(device=str(device), workers=0))
        start = time.perf_counter()
        for number, loaded in enumerate(loader):
            there = time.perf_counter()
            loop.step(loaded.to(device))
            loop.window.clear()
            if device.type == "cuda" and number % 10 == 0:
                torch.cuda.synchronize(device)
            end = time.perf_counter()
            waits.append(there - start)
            steps.append(end - there)
            start, batch = end, len(loaded.images)
            if number + 1 == size.loader_steps:
                break
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps[-1] += time.perf_counter() - start
    counted = len(steps) // 3
    seconds = sum(waits[counted:]) + sum(steps[counted:])
    return {
        "kind": "loader",
        "preset": preset,
        "batch": batch,
        "workers": workers,
        "steps": len(steps) - counted,
        "images_per_second": batch * (len(steps) - counted) / seconds,
        "share_of_waiting": sum(waits[counted:]) / seconds,
        "first_step_seconds": steps[0],
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
    batch: Batch = next(iter(_loader(run, size, images=size.train_batch, workers=0)))
    return batch


def _loader(run: Run, size: Size, *, images: int, workers: int) -> Iterable[Batch]:
    shapes = {
        "name": "shapes",
        "train_images": images,
        "val_images": 1,
        "size": max(96, min(run.image_size, 640)),
    }
    drawn, data = resolve_run(run.changed({"dataset": shapes}), data_root=None, split="train")
    dataset = open_dataset(data, "train")
    with torch.device("meta"):
        network = build_network(drawn, initial=False)
    return build_training_loader(drawn, network, dataset, start_iteration=0, workers=workers)


def _loop(run: Run, folder: Path, how: TrainingOptions) -> Loop:
    torch.manual_seed(0)
    network = build_network(run, initial=False).to(torch.device(how.device))
    network = network.to(memory_format=torch.channels_last)
    return Loop(run, network, build_schedule(run), build_losses_for(run, network), folder, how)


def _step(
    run: Run,
    batch: Batch,
    device: torch.device,
    *,
    fused: bool = True,
    compile_network: bool = False,
    recorder: StepRecorder | None = None,
) -> Callable[[], None]:
    how = TrainingOptions(
        device=str(device), workers=0, compile_network=compile_network, recorder=recorder
    )
    loop = _loop(run, Path(), how)  # writes nothing
    if not fused:
        schedule = loop.schedule
        options = {"momentum": schedule.momentum, "weight_decay": schedule.weight_decay}
        trained = [p for p in loop.network.parameters() if p.requires_grad]
        loop.optimizer = torch.optim.SGD(trained, lr=schedule.lr_at(0), **options)

    def step() -> None:
        loop.step(batch)
        loop.window.clear()

    return step
