"""Where Triton kernels can be tested, and what a compilation without a device tells of them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.support.paths import ROOT

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# A device for a test of kernels: the CPU in a process whose Triton interprets, and a GPU.
DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))


def device_or_skip(name: str) -> str:
    """The device, where kernels run on it here."""
    if name == "cpu" and not INTERPRETED:
        pytest.skip("on a CPU kernels are interpreted, in another process")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return name


def assert_interpreted_tests_pass(file: str, least: int) -> None:
    """Run the tests of a file in a process of its own: Triton asks when it is imported."""
    pytest.importorskip("triton")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "not gpu")
    done = subprocess.run(
        [*command, "-k", "interpreted", file],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least, done.stdout[-4000:]


def stack_bytes(
    kernel: object, types: Mapping[str, str], numbers: Mapping[str, object], **options: object
) -> int:
    """What a program of the kernel spills, compiled for compute capability 9.0.

    Pointers are to fp32 and numbers are integers unless `types` says otherwise; `numbers` are
    constants.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names: list[str] = kernel.arg_names  # type: ignore[attr-defined]
    signature = {
        name: "constexpr"
        if name in numbers
        else types.get(name, "*fp32" if name.endswith("_ptr") else "i32")
        for name in names
    }
    constants = {(names.index(name),): value for name, value in numbers.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=dict(options))
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    binary = Path(os.environ["TRITON_CACHE_DIR"]) / "kernel.cubin"
    binary.write_bytes(made.asm["cubin"])
    usage = subprocess.run(
        [tools / "cuobjdump", "-res-usage", binary], capture_output=True, text=True, check=True
    )
    stack = re.search(r"STACK:(\d+)", usage.stdout + usage.stderr)
    assert stack is not None, usage.stdout
    return int(stack[1])
