"""From a run to what trains its network: losses, schedule and batches."""

from yolact_bench.data import Dataset
from yolact_bench.data.batch import IterationSampler, TrainingData, TrainingLoader, training_loader
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.loss.total import Losses
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import component_of
from yolact_bench.schedule import Schedule
from yolact_bench.spec.run import Run


def build_losses_for(run: Run, network: Yolact) -> Losses:
    """Return the losses of a run over a network."""
    return Losses(
        matcher=component_of(run, "matcher"),
        class_loss=component_of(run, "class_loss"),
        box_loss=component_of(run, "box_loss"),
        mask_loss=component_of(run, "mask_loss"),
        semantic_loss=component_of(run, "semantic_loss"),
        mask_iou_loss=component_of(run, "mask_iou_loss"),
        rescore_net=network.rescore_net,
    )


def build_schedule(run: Run) -> Schedule:
    """Return the schedule of a run."""
    schedule: Schedule = component_of(run, "schedule")()
    return schedule


def freezes_batch_norm(run: Run) -> bool:
    """Return whether batch norm stands still in training.

    The joint batch decides, as statistics are those of all devices' images together: the number
    of devices never changes a training.
    """
    frozen: bool = component_of(run, "batch_norm")(build_schedule(run).batch_size)
    return frozen


def build_training_loader(
    run: Run,
    network: Yolact,
    dataset: Dataset,
    *,
    start_iteration: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingLoader:
    """Return the loader that yields the batches of a run from `start_iteration` to its end.

    Of several ranks each gets its share of every batch.
    """
    schedule = build_schedule(run)
    data = TrainingData(
        dataset,
        component_of(run, "augment"),
        size=run.image_size,
        mask_size=prototype_size(run.image_size),
        fill=network.mean,
        seed=run.seed,
    )
    batches = IterationSampler(
        len(dataset),
        batch_size=schedule.batch_size,
        seed=run.seed,
        start_iteration=start_iteration,
        num_iterations=schedule.iterations,
        rank=rank,
        world_size=world_size,
    )
    return training_loader(data, batches, workers=workers)
