"""Where the losses may look at a number of a tensor, and where that makes the host wait."""

from torch import Tensor


def reading_is_free(tensor: Tensor) -> bool:
    """Return whether the host can read the tensor without waiting for a device.

    On a CPU it can, and less is computed for it; on a device the same comes from fixed shapes.
    """
    return tensor.device.type == "cpu"
