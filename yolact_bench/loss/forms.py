"""The forms of components that take a whole batch at once, and what stands in for them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from yolact_bench.loss.protocols import BatchMatcher, Match, Matcher
from yolact_bench.shapes import Targets, reading_is_free
from yolact_bench.slots import fact


def form_of_batch(component: object) -> Callable[..., Any] | None:
    """Return the form of a whole batch of a component, bound to its options; None without one."""
    form = fact(component, "of_batch")
    return None if form is None else partial(form, **getattr(component, "keywords", {}))


def batch_matcher(matcher: Matcher) -> BatchMatcher:
    """Return a matcher of batches: its own form on a device, otherwise an image at a time.

    On a CPU an image at a time is faster: its table stays in the cache.
    """
    form = form_of_batch(matcher)

    def match(anchors_cxcywh: Float32[Tensor, "A 4"], targets: Targets) -> Match:
        if form is not None and not reading_is_free(anchors_cxcywh):
            of_batch: Match = form(anchors_cxcywh, targets)
            return of_batch
        each = [matcher(anchors_cxcywh, target) for target in targets]
        return Match(
            labels=torch.stack([one.labels for one in each]),
            truth=torch.stack([one.truth for one in each]),
        )

    return match
