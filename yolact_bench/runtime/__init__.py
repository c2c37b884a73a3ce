"""Runtimes: how the network is executed at inference.

Public: `runtime.Runtime`, `runtime.Program`, `RUNTIMES`.
"""

from collections.abc import Mapping

from yolact_bench.runtime.compiled import compiled
from yolact_bench.runtime.cuda_graph import cuda_graph
from yolact_bench.runtime.eager import eager
from yolact_bench.runtime.runtime import MakeRuntime

RUNTIMES: Mapping[str, MakeRuntime] = {
    "eager": eager,
    "compiled": compiled,
    "cuda_graph": cuda_graph,
}
