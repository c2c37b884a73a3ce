"""Batch-norm policies: whether running statistics, scale and shift train or stand still."""

from collections.abc import Mapping

from torch import nn

from yolact_bench.model.protocols import BatchNormPolicy
from yolact_bench.ranges import CountOrZero
from yolact_bench.slots import with_facts

SMALLEST_TRAINABLE_BATCH = 6


@with_facts(trains_from="min_batch")
def auto(batch_size: int, *, min_batch: CountOrZero = SMALLEST_TRAINABLE_BATCH) -> bool:
    """Return whether to freeze: statistics of fewer than `min_batch` images are too noisy.

    Source: dbolya/yolact@902073d train.py, which disables batch norm under 6 images per GPU, since
    each GPU has statistics of its own.
    Differs: the joint batch counts, since statistics are those of all devices' images together.
    """
    return batch_size < min_batch


def train(batch_size: int) -> bool:
    """Return False: batch norm trains whatever the batch.

    Source: arXiv:1502.03167.
    Differs: nothing.
    """
    return False


def frozen(batch_size: int) -> bool:
    """Return True: batch norm uses its loaded statistics and is not trained.

    Source: ResNet (arXiv:1512.03385), appendix A: statistics are fixed in fine-tuning.
    Differs: nothing.
    """
    return True


BATCH_NORMS: Mapping[str, BatchNormPolicy] = {"auto": auto, "train": train, "frozen": frozen}


def set_training_mode(network: nn.Module, *, frozen_batch_norm: bool) -> None:
    """Put the network in training mode, with batch norm standing still where it is frozen."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not frozen_batch_norm)
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(not frozen_batch_norm)
