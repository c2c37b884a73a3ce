"""Train a unit, unless its weights are there."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from runners.evaluation.predict import validate
from runners.system.interrupt import graceful_stop
from runners.system.rank_processes import Parent, share_devices
from runners.system.ranks import Ranks
from runners.system.retry import retry_dead_workers
from runners.training.options import TrainingOptions
from runners.training.run import TrainingResult, load_finished, train
from runners.units.lr_scaling import check_shares
from runners.units.unit import Unit, run_yaml
from runners.units.workplace import Datasets, Workplace
from runners.workdir.lock import hold_lock, lock_holder
from yolact_bench.build import PLAIN, build_detector, runtime_of
from yolact_bench.data import Dataset
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.model.network import Yolact
from yolact_bench.results.files import write_atomically
from yolact_bench.runtime.cuda_graph import record_cuda_graph
from yolact_bench.spec.run import Run
from yolact_bench.training_log import Logged
from yolact_bench.training_parts import build_schedule
from yolact_bench.work_names import LAST, RUN

log = logging.getLogger(__name__)

VALIDATION_IMAGES = 64
PATIENCE = 180.0  # seconds: a worker that lost its coordinator may be writing its last checkpoint


def ensure_trained(unit: Unit, place: Workplace, *, on_log: Logged | None = None) -> TrainingResult:
    """Train the unit unless its weights are there; return the facts of the training.

    Raises:
        ArmError: the training cannot continue.
        KeyboardInterrupt: a stop was requested; a checkpoint has been written.
    """
    weights, ranks, title = place.weights(unit.run), place.ranks, f"train {unit.title}"
    folder = weights.parent
    if not ranks.broadcast_from_first(weights.is_file()):
        check_shares(build_schedule(unit.run).batch_size, max(place.devices, ranks.size))
        with graceful_stop() as stop, sole_trainer(folder, title, ranks):
            if not ranks.broadcast_from_first(weights.is_file()):  # or while waiting
                ranks.do_on_first(lambda: write_atomically(folder / RUN, run_yaml(unit.run)))
                return retry_dead_workers(lambda: _train(unit, place, stop, on_log), title=title)
    # Left by a process that was killed right after it had written final.pt.
    (folder / LAST).unlink(missing_ok=True)
    return load_finished(weights, train_digest=unit.train_digest)


def report_small_objects(unit: Unit, place: Workplace) -> None:
    """Log how many training objects are too small for the masks of a unit.

    Raises:
        SpecError: there are some, and they are errors.
    """
    small = place.datasets.open(unit.data, "train").without_cell(
        prototype_size(unit.run.image_size)
    )
    if small:
        title = f"{unit.data.name} train at {unit.run.image_size} px"
        place.datasets.report(title, small, f"the first: {small[0].where}; raise image_size")


@contextmanager
def sole_trainer(folder: Path, title: str, ranks: Ranks) -> Iterator[None]:
    """Train in `folder` alone until the block ends; the first of several ranks holds the lock.

    Workers of executors do not hold the work directory's lock. Where a worker of an earlier run is
    still ending, this waits for it.

    Raises:
        SpecError: another process keeps training there.
    """
    other = lock_holder(folder) if ranks.first and folder.is_dir() else None
    if other is not None:
        log.info(
            "%s: another process (%d on %s) is training this checkpoint; waiting",
            *(title, other.pid, other.host),
        )
    with hold_on_first(ranks, hold_lock(folder, command=title, patience=PATIENCE)):
        yield


@contextmanager
def hold_on_first(ranks: Ranks, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Let the first rank hold a lock until the block ends; the others wait until it has it.

    Raises:
        SpecError: the lock is not available; on all ranks.
    """
    with ExitStack() as stack:
        ranks.do_on_first(lambda: stack.enter_context(lock))
        yield


def make_validation(
    run: Run, open_images: Callable[[], Dataset], *, device: str
) -> Callable[[Yolact], Mapping[str, float]]:
    """Return the validation of a network of `run` in training; no number of a table comes from it.

    It measures AP on the first validation images, without what the images leave undefined. It is
    eager: the weights change before the next validation, so compiling would never pay.
    """
    plain = {**PLAIN["runtime"], "precision": runtime_of(run).precision}
    eager = run.changed({"runtime": plain})

    def validation(network: Yolact) -> Mapping[str, float]:
        detector = build_detector(eager, network, device=device)
        scores = validate(detector, open_images(), max_images=VALIDATION_IMAGES)
        ap = {"mask_ap": scores.mask.ap, "mask_ap50": scores.mask.ap50, "box_ap": scores.box.ap}
        return {name: value for name, value in ap.items() if value is not None}

    return validation


def _train(
    unit: Unit, place: Workplace, should_stop: Callable[[], bool], on_log: Logged | None
) -> TrainingResult:
    if place.devices > 1 and place.ranks.size == 1:
        place.datasets.open(unit.data, "train")  # downloads and faults come once, before the ranks
        return share_devices(
            _train_as_rank,
            (replace(unit, data=unit.data.portable()), replace(place, datasets=Datasets())),
            devices=place.devices,
            device=place.device,
            should_stop=should_stop,
            on_log=on_log,
        )
    report_small_objects(unit, place)
    dataset = place.datasets.open(unit.data, "train")
    every = place.validate_every
    if every is None:
        every = max(1, build_schedule(unit.run).iterations // 5)
    how = TrainingOptions(
        device=place.device,
        workers=place.workers,
        validate=make_validation(
            unit.run, lambda: place.datasets.open(unit.data, "val"), device=place.device
        ),
        validate_every=every,
        checkpoint_seconds=place.checkpoint_seconds,
        compile_network=place.compile_network,
        recorder=record_cuda_graph if place.record_step else None,
        cudnn_benchmark=place.cudnn_benchmark,
        on_log=on_log if place.ranks.first else None,
        should_stop=should_stop,
        ranks=place.ranks,
    )
    folder = place.checkpoint_folder(unit.run)
    return train(unit.run, folder, dataset, title=f"train {unit.title}", how=how)


def _train_as_rank(
    ranks: Ranks, device: str, parent: Parent, unit: Unit, place: Workplace
) -> TrainingResult:
    own = replace(place, ranks=ranks, device=device)
    return _train(unit, own, parent.should_stop, parent.on_log)
