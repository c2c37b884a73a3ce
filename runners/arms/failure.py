"""Failures: the phase that failed, and the record of it."""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runners.system.environment import environment, now
from runners.units.unit import Work, identity
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError, file_fault
from yolact_bench.escape import without_passwords
from yolact_bench.results.files import out_of_space
from yolact_bench.results.record import Failure

# In messages of PyTorch about a lack of memory that has no exception type.
_NO_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class PhaseError(Exception):
    """An error that ended a phase of a unit."""

    def __init__(self, phase: str, cause: Exception) -> None:
        super().__init__(f"{phase}: {cause}")
        self.phase, self.cause = phase, cause


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Name the phase (train, evaluate, errors) that an error of the block ends.

    Raises:
        PhaseError: the block raised an exception, which is its cause.
    """
    try:
        yield
    except Exception as error:
        raise PhaseError(name, error) from error


def failure_record(unit: Work, place: Workplace, phase: str, error: Exception) -> Failure:
    """Return the record of an error that ended `phase` of a unit (train, evaluate, latency, …)."""
    kind = failure_kind(error)
    message = str(error) or type(error).__name__
    if kind == "disk_full" and not isinstance(error, ArmError):
        message = f"{place.work_dir}: {message}"
    elif fault := file_fault(error):
        message = f"{fault} with --retry-failed"
    return Failure(
        **identity(unit),
        phase=phase,
        kind=kind,
        message=without_passwords(message),
        traceback=without_passwords("".join(traceback.format_exception(error))),
        environment=environment(place.device),
        time=now(),
    )


def failure_kind(error: BaseException) -> str:
    """Return the machine-readable reason: that of an `ArmError`, out_of_memory, … or error."""
    if isinstance(error, ArmError):
        return error.kind
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "out_of_memory"
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY):
        return "out_of_memory"
    return "disk_full" if out_of_space(error) else "error"


def free_memory() -> None:
    """Release the device memory of a failed arm, for the arms after it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
