"""Check a run before anything of it is trained or timed.

A spec for a GPU is valid on a machine without one: only its arm fails, before it trains.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from runners.units.known_data import resolve_in
from runners.units.lr_scaling import KEEP, scale_run
from runners.units.meta_network import check_init, meta_network
from runners.units.settings import parse_settings
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.build import build_detector, deform_fault, device_fault, runtime_of
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.errors import ArmError, Faults, SpecError
from yolact_bench.resolve import fact_of, resolve_slots
from yolact_bench.runtime.runtime import fp16_fault
from yolact_bench.spec.base_run import apply_settings, change, read_run_as_far
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import build_losses_for, build_schedule, freezes_batch_norm


def check(
    run: Run,
    *,
    where: str,
    data_root: Path | None,
    device: str,
    split: str = "val",
    data: bool = True,
    place: Workplace | None = None,
) -> tuple[Run, DatasetSpec]:
    """Return the run resolved, with its data set, having built it on the meta device.

    Runs of one architecture share a network. Without `data` the files of the data set are not
    read, and without a `place` none of the images: the digest is not final.

    Raises:
        SpecError: with `where`, for anything that could be known to fail before training.
        MissingDataError: likewise, where files of the data set are not there.
    """
    try:
        resolved, spec = resolve_in(place, run, data_root=data_root, split=split, data=data)
        check_possible(resolved, device)
        network = meta_network(resolved)
        if data:
            check_init(network, resolved)
        with torch.device("meta"):
            build_losses_for(resolved, network)
            build_schedule(resolved)
        build_detector(resolved, network, device="meta")
    except SpecError as error:
        raise error.at(where) from error
    except (ValueError, RuntimeError) as error:
        raise SpecError(
            f"{where}: the network cannot be built: {error}; write other sizes, as of image_size "
            "or of the options that `yolact-bench list components` prints"
        ) from error
    return resolved, spec


def resolve_unit(
    arm: str,
    dataset: str | None,
    settings: Sequence[str],
    place: Workplace,
    data_root: Path | None,
    *,
    split: str,
    scaling: str = KEEP,
    devices: int = 1,
) -> Unit:
    """Return one arm, checked, with the settings of the command line.

    With a `scaling` it is the arm as it is trained on `devices` devices.

    Raises:
        SpecError: all that is wrong with the arm and the settings.
    """
    run = _read_unit(arm, dataset, settings)
    run = scale_run(run, scaling=scaling, devices=devices)
    resolved, data = check(
        run,
        where=arm,
        data_root=data_root,
        device=place.device,
        split=split,
        place=place,
    )
    return Unit(
        ablation="", arm=Path(arm).stem, seed=resolved.seed, run=resolved, data=data, split=split
    )


def _read_unit(arm: str, dataset: str | None, settings: Sequence[str]) -> Run:
    faults = Faults()
    run = read_run_as_far(arm, faults, relative_to=Path())
    with faults.part():
        if dataset is not None:
            run = change(run, "dataset", dataset, relative_to=Path())
    run = apply_settings(run, parse_settings(settings, faults), faults)
    if faults:  # what else is wrong: classes of data that are not read are taken as written
        try:
            resolve_slots(replace(run, classes=run.evaluation.classes or run.classes))
        except SpecError as error:
            faults.add(error.at(arm))
    faults.raise_any()
    return run


def check_possible(run: Run, device: str) -> None:
    """Check that a resolved run is possible on a device.

    Raises:
        SpecError: the device lacks a precision or an implementation, or random weights have no
            statistics to freeze.
    """
    kind = torch.device(device).type
    if fault := fp16_fault(run.precision, kind):
        raise SpecError(f"precision: {fault}")
    if fault := runtime_of(run).precision_fault(kind):
        raise SpecError(f"runtime.precision: {fault}")
    if fault := deform_fault(run, device):
        raise SpecError(f"deform: {fault}")
    if fact_of(run, "init", "random") and freezes_batch_norm(run):
        option = fact_of(run, "batch_norm", "trains_from")
        larger = f", or schedule.batch_size: {run.batch_norm[option]} or more" if option else ""
        raise SpecError(
            f"batch_norm: {run.batch_norm['name']} freezes batch norm at schedule.batch_size "
            f"{run.schedule['batch_size']}, but random weights (init: {run.init['name']}) "
            f"come with no statistics to freeze; write batch_norm: {{name: train}}{larger}"
        )


def check_runtime(run: Run, device: str) -> None:
    """Check that a device supports the runtime of an arm, before the arm trains in vain.

    Raises:
        ArmError: unsuited_device. Only this arm fails; another machine can retry it.
    """
    if fault := device_fault(run, device):
        raise ArmError("unsuited_device", f"runtime: {fault}; there, add --retry-failed")
