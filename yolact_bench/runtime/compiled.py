"""TorchInductor, stage by stage."""

from dataclasses import replace
from functools import partial

from yolact_bench.runtime.compiler import compiler_fault, compiler_probe
from yolact_bench.runtime.inductor import (
    Epilogues,
    Tuning,
    compilation_of,
    compile_function,
    compile_stages,
)
from yolact_bench.runtime.runtime import (
    FixedShapes,
    GraphStep,
    Precision,
    Runtime,
    fp16_fault,
)
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
    input of a new shape comes, which takes seconds. On a CPU detections follow the network as in
    `eager`. On a GPU, where launches from Python take longer than what they launch, resizing, NMS,
    assembly and re-scoring are the programs of `cuda_graph`, not recorded, and kernels of the
    network are launched from C++ where that builds. `epilogues: fused` is described there.

    Source: PyTorch 2 (Ansel et al., ASPLOS 2024), section 4; constants are frozen as inductor's
    `freezing` describes.
    Differs: one program per stage of the network, and not one of the whole.
    """
    how = compilation_of(tuning=tuning, epilogues=epilogues)
    return Runtime(
        precision=precision,
        precision_fault=partial(fp16_fault, precision),
        # What follows the network has few launches, and C++ takes seconds more to compile.
        prepare=partial(compile_stages, how=replace(how, cpp_launches_on="cuda")),
        inference_copy=True,
        fixed_shapes=FixedShapes(
            compile_part=partial(compile_function, how=how),
            record=_step_by_step,
            record_in_place=_step_by_step,
            only_on="cuda",
        ),
        fault=compiler_fault,
        probe=compiler_probe,
    )


def _step_by_step(step: GraphStep) -> GraphStep:
    """Return the step itself, whose programs are launched one after another."""
    return step
