"""Train a unit, or find it trained."""

import logging
from collections.abc import Callable
from dataclasses import replace

from runners.arms.sole_trainer import sole_trainer
from runners.arms.validation import validation_of
from runners.system.interrupt import graceful_stop
from runners.system.rank_processes import Parent, share_devices
from runners.system.ranks import Ranks
from runners.system.retry import retry_dead_workers
from runners.training.loop import Logged, TrainingOptions
from runners.training.run import Trained, found_trained, train
from runners.units.lr_scaling import check_shares
from runners.units.unit import Unit, run_yaml
from runners.units.workplace import Datasets, Workplace
from yolact_bench.build import build_schedule
from yolact_bench.results.files import write_atomically
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)


def ensure_trained(unit: Unit, place: Workplace, *, on_log: Logged | None = None) -> Trained:
    """Train the unit unless its checkpoint is there; return what is known of the training.

    Raises:
        ArmError: the training cannot go on.
        KeyboardInterrupt: a stop was asked for; a checkpoint has been written.
    """
    weights, ranks, title = place.weights(unit.run), place.ranks, f"train {unit.title}"
    folder = weights.parent
    if not ranks.broadcast_from_first(weights.is_file()):
        check_shares(build_schedule(unit.run).batch_size, max(place.devices, ranks.size))
        with graceful_stop() as stop, sole_trainer(folder, title, ranks):
            if not ranks.broadcast_from_first(weights.is_file()):  # or while it was waited for
                ranks.do_on_first(lambda: write_atomically(folder / "run.yaml", run_yaml(unit.run)))
                return retry_dead_workers(lambda: _train(unit, place, stop, on_log), title=title)
    (folder / "last.pt").unlink(missing_ok=True)  # of a process killed right after final.pt
    return found_trained(weights)


def _train(
    unit: Unit, place: Workplace, should_stop: Callable[[], bool], on_log: Logged | None
) -> Trained:
    if place.devices > 1 and place.ranks.size == 1:
        place.datasets.open(unit.data, "train")  # its faults, and what it downloads, come once
        return share_devices(
            _train_as_rank,
            (replace(unit, data=unit.data.portable()), replace(place, datasets=Datasets())),
            devices=place.devices,
            device=place.device,
            should_stop=should_stop,
            tell=on_log,
        )
    dataset = place.datasets.open(unit.data, "train")
    how = TrainingOptions(
        device=place.device,
        workers=place.workers,
        validate=validation_of(
            unit.run, lambda: place.datasets.open(unit.data, "val"), device=place.device
        ),
        validate_every=_validate_every(unit.run, place),
        checkpoint_seconds=place.checkpoint_seconds,
        compile_network=place.compile_training,
        on_log=on_log if place.ranks.first else None,
        should_stop=should_stop,
        ranks=place.ranks,
    )
    folder = place.checkpoint_folder(unit.run)
    return train(unit.run, folder, dataset, title=f"train {unit.title}", how=how)


def _train_as_rank(
    ranks: Ranks, device: str, parent: Parent, unit: Unit, place: Workplace
) -> Trained:
    own = replace(place, ranks=ranks, device=device)
    return _train(unit, own, parent.should_stop, parent.tell)


def _validate_every(run: Run, place: Workplace) -> int:
    if place.validate_every is not None:
        return place.validate_every
    return max(1, build_schedule(run).iterations // 5)
