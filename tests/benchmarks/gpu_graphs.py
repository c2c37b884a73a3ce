"""Calls as graphs, so that the host's launches do not show in their times."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

import torch

from yolact_bench.runtime.cuda_graph import record_cuda_graph
from yolact_bench.runtime.recording import Recorder

log = logging.getLogger(__name__)

CALLS = 10  # that are recorded together


def as_graphs(
    calls: Mapping[str, Callable[[], object]],
    device: torch.device,
    recorders: Mapping[str, Recorder] = {},
) -> tuple[dict[str, Callable[[], object]], bool]:
    """Return `CALLS` calls of each arm; on a GPU as graphs, if every arm can be recorded.

    An arm is recorded by its own recorder where it has one.
    """
    repeated = {arm: partial(_repeat, call) for arm, call in calls.items()}
    if device.type == "cuda":
        try:
            return {
                arm: recorders.get(arm, record_cuda_graph)(call, call)
                for arm, call in repeated.items()
            }, True
        except RuntimeError:  # launches of one arm against a graph of another would not compare
            log.exception("an arm cannot be recorded; all are launched one by one")
    return dict(repeated), False


def _repeat(call: Callable[[], object]) -> None:
    for _ in range(CALLS):
        call()
