"""TorchInductor, stage by stage."""

from functools import partial

from yolact_bench.runtime.compiler import compiler_fault, compiler_probe
from yolact_bench.runtime.inductor import (
    Compilation,
    Epilogues,
    Tuning,
    compile_stages,
)
from yolact_bench.runtime.runtime import Precision, Runtime, fp16_fault
from yolact_bench.slots import with_facts


@with_facts(later=("epilogues",))
def compiled(
    *,
    precision: Precision = "fp32",
    tuning: Tuning = "default",
    epilogues: Epilogues = "separate",
) -> Runtime:
    """Return TorchInductor on the network's inference copy, with frozen, prepacked weights.

    Batch norm is folded, the head's branches are one convolution, tensors are channels-last and
    half-precision weights are halves: no autocast. Each stage is one program, compiled when an
    input of a new shape comes, which takes seconds. Detections follow the network as in `eager`.
    `epilogues: fused` is described at `cuda_graph`.

    Source: PyTorch 2 (Ansel et al., ASPLOS 2024), section 4; constants are frozen as inductor's
    `freezing` describes.
    Differs: one program per stage of the network, and not one of the whole.
    """
    how = Compilation(tuning=tuning, epilogues=epilogues)
    return Runtime(
        precision=precision,
        precision_fault=partial(fp16_fault, precision),
        prepare=partial(compile_stages, how=how),
        inference_copy=True,
        fault=compiler_fault,
        probe=compiler_probe,
    )
