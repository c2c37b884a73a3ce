"""The whole training loss: match once, then every term of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from yolact_bench.loss.claims import KERNEL_SIZES
from yolact_bench.loss.forms import BatchForms, batch_forms, match_batch
from yolact_bench.loss.padded import pad_objects, rows_of
from yolact_bench.loss.protocols import (
    BatchPositives,
    BoxLoss,
    ClassLoss,
    MaskIouLoss,
    MaskLoss,
    Match,
    Matcher,
    Positives,
    SemanticLoss,
)
from yolact_bench.shapes import Predictions, Target, Targets, map_tensors, reading_is_free
from yolact_bench.slots import fact, form_of

# Of boxes, masks and, where there is such a term, the mask IoU.
_TermsOfPositives: TypeAlias = tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""] | None]


@dataclass(kw_only=True, eq=False)
class Losses:
    """The terms of the loss of one batch, by name, each as it enters the total.

    Under data parallelism gradients are averaged over `ranks` processes. Set `sum_over_ranks`
    to a function that adds up a count over them: the average is then the loss of the joint
    batch, as if one process had seen all of it.
    """

    matcher: Matcher
    class_loss: ClassLoss
    box_loss: BoxLoss
    mask_loss: MaskLoss
    semantic_loss: SemanticLoss
    mask_iou_loss: MaskIouLoss
    rescore_net: nn.Module | None = None
    sum_over_ranks: Callable[[Tensor], Tensor] = lambda count: count
    ranks: int = 1

    def __call__(
        self, raw: Predictions, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """Return box, class, mask and, where their slots have them, semantic and mask_iou.

        Box, class, mask and mask_iou are divided by the positives of the whole batch. All is
        computed in float32, also under autocast. `generator` draws the subset of positives
        of images that have too many for the mask loss.

        Source: YOLACT (arXiv:1904.02689), paragraph "Losses"; YOLACT++ (arXiv:1912.06218),
        "Fast Mask Re-Scoring Network"; dbolya/yolact@902073d layers/modules/multibox_loss.py,
        `forward`.
        """
        with torch.autocast(raw.class_logits.device.type, enabled=False):
            return self._terms(self._in_float32(raw), Targets.of(targets), generator)

    @torch.no_grad()
    def compile_kernels(self, anchors: Float32[Tensor, "A 4"]) -> None:
        """Match as many objects as any batch may have, so that no later step compiles a kernel.

        All else has the same sizes in every step.
        """
        if reading_is_free(anchors):
            return
        for count in KERNEL_SIZES:
            boxes = anchors.new_zeros(count, 4)
            labels = torch.zeros(count, dtype=torch.int64, device=anchors.device)
            masks = torch.zeros(count, 1, 1, dtype=torch.uint8, device=anchors.device)
            target = Target(boxes=boxes, labels=labels, masks=masks, is_crowd=labels > 0)
            match_batch(self.matcher, anchors, Targets.of([target]))

    def normaliser(self, labels: Int64[Tensor, "B A"]) -> Float32[Tensor, ""]:
        """The number of positives, at least 1: over all ranks, shared out among them."""
        positives = self.sum_over_ranks((labels > 0).sum()).float()
        return positives.clamp(min=1.0) / self.ranks

    def _in_float32(self, raw: Predictions) -> Predictions:
        """The same predictions in float32, still attached to the network.

        Class logits, the most of them, stay in halves where their loss takes them so.
        """
        logits = raw.class_logits if fact(self.class_loss, "takes_halves") else None
        features = None if raw.features is None else tuple(x.float() for x in raw.features)
        wide = map_tensors(raw, lambda each: each if each is logits else each.float())
        return replace(wide, features=features)

    def _terms(
        self, raw: Predictions, targets: Targets, generator: torch.Generator | None
    ) -> dict[str, Float[Tensor, ""]]:
        match = match_batch(self.matcher, raw.anchors, targets)
        normaliser = self.normaliser(match.labels)
        forms = None
        if not reading_is_free(match.labels):
            forms = batch_forms(
                box_loss=self.box_loss,
                mask_loss=self.mask_loss,
                mask_iou_loss=self.mask_iou_loss,
                rescore_net=self.rescore_net,
            )
        if forms is None:
            box, mask, mask_iou = self._of_images(raw, targets, match, normaliser, generator)
        else:
            box, mask, mask_iou = self._of_batch(forms, raw, targets, match, normaliser, generator)
        terms = {
            "box": box,
            "class": self.class_loss(raw.class_logits, match.labels, normaliser),
            "mask": mask,
            "semantic": self._semantic(raw.semantic, targets),
            "mask_iou": mask_iou,
        }
        return {name: term for name, term in terms.items() if term is not None}

    def _semantic(
        self, logits: Float[Tensor, "B C h w"] | None, targets: Targets
    ) -> Float[Tensor, ""] | None:
        form = form_of(self.semantic_loss, "of_batch")
        if form is None or reading_is_free(targets.objects.labels):
            return self.semantic_loss(logits, targets)
        term: Float[Tensor, ""] | None = form(logits, targets)
        return term

    def _of_batch(
        self,
        forms: BatchForms,
        raw: Predictions,
        targets: Targets,
        match: Match,
        normaliser: Float[Tensor, ""],
        generator: torch.Generator | None,
    ) -> _TermsOfPositives:
        """The terms of the positives, in tables that are as large for every batch."""
        box_form, mask_form, mask_iou_form = forms
        positive, objects = match.labels > 0, pad_objects(targets)
        boxes = rows_of(objects.boxes, match.truth)
        batch = BatchPositives(
            coefficients=raw.coefficients,
            prototypes=raw.prototypes,
            positive=positive,
            truth=match.truth,
            objects=objects,
        )
        box = box_form(raw.boxes, raw.anchors, boxes, positive, normaliser)
        mask, soft_masks = mask_form(batch, normaliser, generator)
        return box, mask, mask_iou_form(soft_masks, self.rescore_net, normaliser)

    def _of_images(
        self,
        raw: Predictions,
        targets: Targets,
        match: Match,
        normaliser: Float[Tensor, ""],
        generator: torch.Generator | None,
    ) -> _TermsOfPositives:
        """The terms of the positives, an image at a time and without a row too many."""
        # Here the host waits for a device: how many positives each image has decides the shapes
        # of what follows, and which subset the mask loss draws.
        counts = (match.labels > 0).sum(dim=1).tolist()
        places = torch.nonzero_static(match.labels > 0, size=sum(counts))  # [P, 2], by image
        image, anchor = places.unbind(dim=1)
        anchors = torch.split(anchor, counts)
        images = [
            Positives(
                coefficients=raw.coefficients[row, anchors[row]],
                truth=match.truth[row, anchors[row]],
                prototypes=raw.prototypes[row],
                boxes=target.boxes,
                labels=target.labels,
                masks=target.masks,
                features=raw.features_of(row),
            )
            for row, target in enumerate(targets)
        ]
        boxes = torch.cat([each.boxes[each.truth] for each in images])  # [P, 4]
        box = self.box_loss(raw.boxes[image, anchor], raw.anchors[anchor], boxes, normaliser)
        mask, soft_masks = self.mask_loss(images, normaliser, generator)
        return box, mask, self.mask_iou_loss(soft_masks, self.rescore_net, normaliser)
