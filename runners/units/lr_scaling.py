"""Training on several devices: how a batch is shared, and how the schedule may be scaled."""

import math
from collections.abc import Mapping

from yolact_bench.catalog import components
from yolact_bench.errors import SpecError
from yolact_bench.slots import options_by_fact, pick, resolve
from yolact_bench.spec.run import Run

KEEP, LINEAR = "keep", "linear"

SCALINGS: Mapping[str, str] = {
    KEEP: "batch, learning rate and iterations are those of the spec; the devices share each batch",
    LINEAR: (
        "batch and learning rate times {devices}, iterations and steps divided by it and rounded "
        "up; the warm-up keeps its iterations and the rate it starts at"
    ),
}


def scale_run(run: Run, *, scaling: str, devices: int) -> Run:
    """Return the run as it is trained on `devices` devices.

    "keep" changes nothing: `batch_size` counts the images of all devices together, and the number
    of devices is no part of the result. "linear" is another training, with another digest, on the
    same number of images: `SCALINGS` says what it scales.

    Raises:
        SpecError: the rule does not exist, or the schedule does not state what it scales.

    Source: arXiv:1706.02677, section 2.1, "Linear Scaling Rule".
    """
    if scaling not in SCALINGS:
        raise SpecError(f"--scaling {scaling}: write {' or '.join(SCALINGS)}")
    if scaling == KEEP or devices == 1:
        return run
    table = components("schedule")
    schedule = resolve("schedule", table, run.schedule)
    component = pick("schedule", table, schedule)
    for option in ("batch_size", *options_by_fact("schedule", component, "rates")):
        value = schedule[option]
        assert isinstance(value, float | int)
        schedule[option] = value * devices
    for option in options_by_fact("schedule", component, "lengths"):
        schedule[option] = _divide(schedule[option], devices)
    return run.changed({"schedule": schedule})


def check_shares(batch_size: int, devices: int) -> None:
    """Check that the devices can share a batch evenly, so that each image counts the same.

    Raises:
        SpecError: they cannot; the message suggests batch sizes and numbers of devices.
    """
    if batch_size % devices == 0:
        return
    below = batch_size // devices * devices
    sizes = " or ".join(str(size) for size in (below, below + devices) if size)
    fitting = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
    near = [n for n in fitting if n < devices][-1:] + [n for n in fitting if n > devices][:1]
    raise SpecError(
        f"schedule.batch_size {batch_size} cannot be shared evenly by {devices} devices; write "
        f"schedule.batch_size {sizes}, or --devices {' or '.join(map(str, near))}"
    )


def _divide(value: object, devices: int) -> object:
    if isinstance(value, list):
        return [_divide(item, devices) for item in value]
    assert isinstance(value, int)
    return math.ceil(value / devices)
