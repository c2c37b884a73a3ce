"""Check a run before anything of it is trained or timed."""

from pathlib import Path

import torch

from runners.units.device_checks import check_possible
from yolact_bench.build import build_detector, build_losses_for, build_network, build_schedule
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run


def check(
    run: Run,
    *,
    where: str,
    data_root: Path | None,
    device: str,
    split: str = "val",
    data: bool = True,
) -> tuple[Run, DatasetSpec]:
    """Return the run resolved, with its data set, having built it on the meta device.

    Without `data` the files of the data set are not looked at.

    Raises:
        SpecError: with `where`, for anything that could be known to fail before training.
        MissingDataError: likewise, where files of the data set are not there.
    """
    try:
        resolved, spec = resolve_run(run, data_root=data_root, split=split, data=data)
        check_possible(resolved, device)
        with torch.device("meta"):
            network = build_network(resolved, initial=False)
            build_losses_for(resolved, network)
            build_schedule(resolved)
            size = resolved.image_size
            network(torch.empty(1, 3, size, size))
        build_detector(resolved, network, device="meta")
    except SpecError as error:
        raise type(error)(f"{where}: {error}") from error
    except (ValueError, RuntimeError) as error:
        raise SpecError(f"{where}: the network cannot be built: {error}") from error
    return resolved, spec
