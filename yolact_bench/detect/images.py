"""Images as they are given: checked, resized for the network, or as photos for one block."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from yolact_bench.detect.graph.staging import Photo, Staging
from yolact_bench.errors import SpecError

# RGB uint8 [H, W, 3]. No shape here: a wrong image is a user's mistake and gets a SpecError.
Image: TypeAlias = NDArray[Any] | Tensor


def check_image(image: Image, index: int) -> None:
    """Raise a SpecError for what is no image; `index` is its number in the batch."""
    if str(image.dtype) not in {"uint8", "torch.uint8"} or image.shape[2:] != (3,):
        raise SpecError(
            f"image {index}: expected RGB uint8 [height, width, 3], "
            f"got {image.dtype} {list(image.shape)}; pass values 0 to 255 as uint8, channels last"
        )
    if 0 in image.shape:
        shape = list(image.shape)
        raise SpecError(f"image {index}: no pixel in the shape {shape}; leave this image out")


def resize(
    image: Image, index: int, *, side: int, device: torch.device
) -> Float[Tensor, "3 {side} {side}"]:
    """Return an image on the device, as floats and square: bilinear, without antialiasing.

    Raises:
        SpecError: it is not RGB uint8 [H, W, 3].
    """
    check_image(image, index)
    if isinstance(image, np.ndarray):
        # A view of reversed channels, as from cv2's BGR, has strides that torch refuses.
        image = torch.from_numpy(np.require(image, requirements=["C", "W"]))
    channels = image.to(device).permute(2, 0, 1).float()[None]  # [1, 3, H, W]
    return F.interpolate(channels, size=(side, side), mode="bilinear", align_corners=False)[0]


def photos_for(
    staging: Callable[[int], Staging], images: Sequence[Image]
) -> tuple[list[Photo], str]:
    """Return the images as arrays for one block; none, and the reason, where it holds none.

    `staging` returns the block for a number of images.

    Raises:
        SpecError: one is not RGB uint8 [H, W, 3].
    """
    for index, image in enumerate(images):
        check_image(image, index)
    if any(isinstance(image, Tensor) and image.device.type != "cpu" for image in images):
        return [], "some are on a device already"
    if not staging(len(images)).fits([(image.shape[0], image.shape[1]) for image in images]):
        return [], "they are larger together than the memory for so many"
    return [image.numpy() if isinstance(image, Tensor) else image for image in images], ""
