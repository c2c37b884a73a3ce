"""The mask that prototypes express of an object: coefficients by least squares."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from runners.arms.oracles.truth import Truth
from yolact_bench.data.objects import rasterise
from yolact_bench.detect.image_candidates import Candidates
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.geometry.masks import crop
from yolact_bench.geometry.protocols import Assembly

# Where the projected masks aim: σ(±2) = 0.88 and 0.12. Steeper, the edge follows the cells of the
# prototypes instead of lying between them; flatter, a mask threshold above 0.5 would shrink it.
_LOGIT = 2.0
# Part of the mean diagonal of PᵀP that is added to it. Prototypes often nearly repeat each other,
# or a box has fewer cells than there are prototypes.
_RIDGE = 1e-6


def fitted_coefficients(
    prototypes: Float[Tensor, "h w k"], masks: Bool[Tensor, "G h w"], cells: Bool[Tensor, "G h w"]
) -> Float[Tensor, "G k"]:
    """Return the coefficients whose logits on `cells` come nearest to ±`_LOGIT`, + on the mask.

    Least squares before the sigmoid, where the assembly is linear: one normal equation for each
    object, all solved at once. On the cells that the crop keeps, because no others are ever
    seen; over the whole image, a small object would be given up for the sake of its background.
    The coefficients are not bounded, as those of the network are by tanh.
    """
    of_objects = list(zip(masks, cells, strict=True))
    inside = [prototypes[one].double() for one in cells]  # [n, k] each
    aims = [torch.where(mask[one], _LOGIT, -_LOGIT).double() for mask, one in of_objects]
    gram = torch.stack([part.T @ part for part in inside])  # [G, k, k]
    right = torch.stack([part.T @ aim for part, aim in zip(inside, aims, strict=True)])
    diagonal = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None]
    # Where all prototypes are 0, so are the coefficients.
    ridge = (_RIDGE * diagonal + torch.finfo(gram.dtype).tiny).expand(-1, gram.shape[1])
    factor = torch.linalg.cholesky(gram + torch.diag_embed(ridge))
    return torch.cholesky_solve(right[:, :, None], factor)[:, :, 0].to(prototypes.dtype)


def project(assembly: Assembly, candidates: Candidates, truth: Truth) -> SoftDetections:
    """Return every true object as a detection, with a mask fitted from these prototypes."""
    prototypes = candidates.prototypes.contiguous()
    side = len(prototypes)  # the network's input is square
    boxes = truth.boxes.to(candidates.boxes)
    to_cells = np.array([[side / truth.width, 0.0, 0.0], [0.0, side / truth.height, 0.0]])
    masks = torch.from_numpy(rasterise(truth.segments, to_cells, side)).bool()
    soft_masks = prototypes.new_zeros(masks.shape)
    if len(masks):
        cells = crop(torch.ones_like(soft_masks), boxes) > 0
        coefficients = fitted_coefficients(prototypes, masks.to(prototypes.device), cells)
        soft_masks = crop(assembly(prototypes, coefficients, boxes), boxes)
    sure = torch.ones(len(masks))
    return SoftDetections(
        boxes=truth.boxes,
        # Outwards to whole pixels: an object thinner than one must not vanish.
        boxes_px=torch.cat([truth.boxes_px[:, :2].floor(), truth.boxes_px[:, 2:].ceil()], 1),
        scores=sure,
        mask_scores=sure,
        labels=truth.labels,
        soft_masks=soft_masks.cpu(),
        height=truth.height,
        width=truth.width,
        mask_threshold=assembly.mask_threshold,
    )
