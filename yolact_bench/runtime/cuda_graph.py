"""The whole detector as one CUDA graph."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field

from yolact_bench.runtime.compiler import compiler_probe
from yolact_bench.runtime.cudnn_choice import with_cudnn_benchmark
from yolact_bench.runtime.inductor import (
    Epilogues,
    Tuning,
    compilation_of,
    compile_function,
    compile_stages,
)
from yolact_bench.runtime.recording import Event, RecordedStep, Replay
from yolact_bench.runtime.runtime import FixedShapes, Precision, Program, Runtime, fp16_fault
from yolact_bench.runtime.two_streams import TwoStreams
from yolact_bench.slots import with_facts

WARM_UPS = 3


@with_facts(on_cpu="compiled", later=("epilogues", "cudnn", "streams"))
def cuda_graph(
    *,
    precision: Precision = "fp32",
    tuning: Tuning = "default",
    epilogues: Epilogues = "separate",
    cudnn: Literal["heuristic", "benchmark"] = "heuristic",
    streams: Annotated[int, Field(ge=1, le=2)] = 1,
) -> Runtime:
    """Return the whole detector as one CUDA graph: from the photo to masks.

    The network is that of `compiled`. Detections have a fixed number of rows, of which those with
    score 0 are empty, so nothing waits for the device; an image for which the device says that
    the fixed number was too small is detected again as in `eager`, and counted.

    With `epilogues: fused`, residual and ReLU are part of the convolution before them. With
    `cudnn: benchmark`, cuDNN times its algorithms before it is recorded, and takes the fastest.
    With two streams the head runs beside the protonet; the times of stages are those of one.

    Source: CUDA graphs in PyTorch (pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
    Differs: nothing.
    """
    how = compilation_of(tuning=tuning, epilogues=epilogues)
    timed = with_cudnn_benchmark(record_cuda_graph)
    recorder = timed if cudnn == "benchmark" else record_cuda_graph
    record = partial(RecordedStep, record=recorder, event=graph_event)

    def prepare(network: Program) -> Program:
        network.run_both = TwoStreams() if streams == 2 else None
        return compile_stages(network, how=how)

    return Runtime(
        precision=precision,
        precision_fault=partial(fp16_fault, precision),
        prepare=prepare,
        inference_copy=True,
        fixed_shapes=FixedShapes(
            compile_part=partial(compile_function, how=how),
            record=record,
            record_in_place=partial(record, hold=lambda batch: batch),
        ),
        fault=_needs_cuda,
        probe=compiler_probe,
    )


def _needs_cuda(device_type: str) -> str:
    if device_type == "cuda":
        return ""
    return (
        f"cuda_graph needs a CUDA device, not {device_type}; write runtime: {{name: compiled}}, "
        "or run on a machine with a GPU and --device cuda"
    )


def record_cuda_graph(
    run: Callable[[], None],
    warm_up: Callable[[], None],
    generators: Sequence[torch.Generator] = (),
) -> Replay:
    """Return the replay of a CUDA graph of `run`, after `warm_up` on a side stream.

    A replay draws from the generators what `run` would draw from them as they are then.

    Source: PyTorch's notes on CUDA semantics, section "CUDA Graphs".
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            warm_up()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    # Other threads may go on, such as the one that moves a loader's batches to pinned memory.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        run()
    return graph.replay


def graph_event() -> Event:
    """Return an event with a time, whose mark becomes part of a recorded graph."""
    event: Event = torch.cuda.Event(enable_timing=True, external=True)  # type: ignore[no-untyped-call]
    return event
