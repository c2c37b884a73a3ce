"""The tests that need a GPU, before anything is timed: a fast wrong kernel is worth nothing."""

import subprocess
import sys

import torch

from runners.system.environment import SOURCE_TREE
from tests.benchmarks.gpu_size import Part, Size

_SECONDS = 50


def gate_part(size: Size, device: torch.device) -> Part:
    """Return what pytest says of the tests marked `gpu`; without a GPU it only collects them.

    Raises:
        RuntimeError: a test failed, with the end of the output.
    """
    words = ["-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/yolact_bench"]
    words += ["-x"] if device.type == "cuda" else ["--collect-only"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=SOURCE_TREE,
        capture_output=True,
        text=True,
        timeout=_SECONDS * size.patience,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        raise RuntimeError("\n".join(lines[-15:]))
    return {"kind": "gate", "result": lines[-1]}
