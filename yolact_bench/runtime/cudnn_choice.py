"""Recording with cuDNN timing its algorithms."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from yolact_bench.runtime.recording import Recorder, Replay


def with_cudnn_benchmark(record: Recorder) -> Recorder:
    """Return the recorder with `torch.backends.cudnn.benchmark` on, in a thread of its own.

    What cuDNN has chosen for a shape stays for the thread that it was chosen in, timed or not. This
    thread has chosen nothing without, whatever ran before; it lives on with its choices, whose
    kernels a graph holds. Modes of the caller are its own: its device, its stream, its gradients.
    """

    def record_apart(run: Callable[[], None], warm_up: Callable[[], None]) -> Replay:
        stream = torch.cuda.current_stream() if torch.cuda.is_available() else None
        is_inference, has_gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

        def there() -> Replay:
            with (
                torch.cuda.stream(stream),
                torch.inference_mode(is_inference),
                torch.set_grad_enabled(has_gradients),
            ):
                return record(run, warm_up)

        with cudnn_benchmark():
            return _thread().submit(there).result()

    return record_apart


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cuDNN benchmark")


@contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """Switch the flag on for the block; `torch.backends.cudnn.flags` would set all others, too."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
