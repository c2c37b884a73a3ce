"""Ground-truth masks at the sizes the losses need."""

import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor


def masks_at(
    masks: UInt8[Tensor, "N H W"], height: int, width: int
) -> Float32[Tensor, "N {height} {width}"]:
    """The masks at that size as 0.0 and 1.0; those that have it already are not resized.

    Source: dbolya/yolact@902073d layers/modules/multibox_loss.py, `lincomb_mask_loss`:
    bilinear without antialiasing, then above 0.5.
    """
    if len(masks) == 0:
        return masks.new_zeros((0, height, width)).float()
    if masks.shape[1:] == (height, width):
        return masks.float()
    resized = F.interpolate(masks.float()[:, None], (height, width), mode="bilinear")[:, 0]
    return (resized > 0.5).float()
