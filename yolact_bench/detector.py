"""The detector: network and pipeline as one callable. What is evaluated is what is timed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.graph.fixed import FixedDetections, ProgramOutput
from yolact_bench.detect.graph.photos import PhotoDetection, PhotoOutput
from yolact_bench.detect.graph.staging import Photo
from yolact_bench.detect.images import Image, photos_for, resize
from yolact_bench.detect.pipeline import DetectionHead, SoftDetections, to_detections
from yolact_bench.errors import SpecError
from yolact_bench.runtime.eager import eager
from yolact_bench.runtime.runtime import GraphStep, Program, Runtime
from yolact_bench.shapes import Detections, Predictions, map_tensors, on_host
from yolact_bench.spec.run import Run

# Makes one program of all that follows resizing, from the input's mean and deviation.
MakeFixed: TypeAlias = Callable[[Tensor, Tensor], GraphStep]
# The same of all, from photos on.
MakePhotoDetection: TypeAlias = Callable[[Tensor, Tensor], PhotoDetection]
log = logging.getLogger(__name__)
_PLAIN = eager()


class Detector:
    """Images in, detections out, with named stages that a clock can time.

    Network and head are public: a runner may put another in the place of either.
    """

    def __init__(
        self,
        network: Program,
        *,
        head: DetectionHead,
        image_size: int,
        classes: Sequence[str],
        device: str | torch.device = "cpu",
        runtime: Runtime = _PLAIN,
        num_parameters: int | None = None,
        fixed: MakeFixed | None = None,
        photos: MakePhotoDetection | None = None,
        run: Run | None = None,
    ) -> None:
        """Put the network on the device, in evaluation mode.

        `network` is as `runtime` has prepared it. `num_parameters` is for a network that is not as
        it was trained: folding and layers for training alone change how many it has. With `fixed`
        all from normalising to detections is one program, with `photos` resizing is part of it.

        Raises:
            SpecError: a precision that the runtime does not have on this device.
        """
        self.device = torch.device(device)
        if fault := runtime.precision_fault(self.device.type):
            raise SpecError(f"precision: {fault}")
        self.network = network.to(self.device).eval()
        if isinstance(head.rescore_net, nn.Module):
            head.rescore_net.to(self.device).eval()
        self.head = head
        self.image_size = image_size
        self.classes = tuple(classes)
        self.runtime = runtime
        self.run = run  # what it was built from; its losses need it
        own = sum(parameter.numel() for parameter in network.parameters())
        self.num_parameters = own if num_parameters is None else num_parameters
        self.unfolded_norms = network.unfolded_norms
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=self.device)[:, None, None]
            for values in (network.mean, network.std)
        )
        self._fixed = None if fixed is None else fixed(self._mean, self._std)
        self._of_photos = None if photos is None else photos(self._mean, self._std)
        self._noted: set[str] = set()  # why images were copied one by one, each said once

    def __call__(self, images: Sequence[Image], clock: Clock = no_clock) -> list[Detections]:
        """Return the detections of each image on the host, masks at image size.

        Raises:
            SpecError: an image is not RGB uint8 [H, W, 3].
        """
        return [self._finish(soft, clock) for soft in self.find(images, clock)]

    @torch.inference_mode()
    def find(self, images: Sequence[Image], clock: Clock = no_clock) -> list[SoftDetections]:
        """Return the detections of each image on the device, masks at prototype size.

        Raises:
            SpecError: an image is not RGB uint8 [H, W, 3].
        """
        if not len(images):
            return []
        if self._of_photos is not None and (photos := self._photos(images, self._of_photos)):
            outcome = self._of_photos(self.network, photos, clock)
            return self._take(outcome, outcome.predictions, outcome.state.tolist(), photos, clock)
        if self._fixed is not None:
            return self._find_fixed(self._fixed, images, clock)
        with clock("preprocess"):
            batch = self.preprocess(images)
        predictions = self.predict(batch, clock)
        return [self._find_one(predictions, i, image, clock) for i, image in enumerate(images)]

    def _find_one(
        self, predictions: Predictions, index: int, image: Image, clock: Clock
    ) -> SoftDetections:
        height, width = image.shape[:2]
        predictions = predictions.in_order()
        return self.head.find(predictions, index, height=height, width=width, clock=clock)

    def _find_fixed(
        self, fixed: GraphStep, images: Sequence[Image], clock: Clock
    ) -> list[SoftDetections]:
        with clock("preprocess"):
            pixels = torch.stack([self._resize(image, i) for i, image in enumerate(images)])
        outcome: ProgramOutput = fixed(self.network, pixels, clock)
        with clock("copy"):
            state = outcome.state.tolist()
        return self._take(outcome.detections, outcome.predictions, state, images, clock)

    def _take(
        self,
        rows: FixedDetections | PhotoOutput,
        predictions: Predictions,
        state: list[list[int]],
        images: Sequence[Image],
        clock: Clock,
    ) -> list[SoftDetections]:
        """Return what a program found, and detect again where its fixed numbers were too small."""
        threshold, results = self.head.assembly.mask_threshold, []
        for index, (image, (count, exact)) in enumerate(zip(images, state, strict=True)):
            if exact:
                height, width = image.shape[:2]
                results.append(
                    rows.detections(
                        index, count, height=height, width=width, mask_threshold=threshold
                    )
                )
            else:
                again = self._find_one(predictions, index, image, clock)
                results.append(replace(again, exact=False))
        return results

    @torch.inference_mode()
    def staging(self, height: int, width: int) -> Photo:
        """Return memory for a photo, RGB [H, W, 3], which `find` of it alone need not copy again.

        A decoder can write into it. The next `find` of one image may overwrite it.
        """
        if self._of_photos is not None and self._of_photos.staging(1).fits([(height, width)]):
            return self._of_photos.staging(1).room(height, width)
        return np.empty((height, width, 3), dtype=np.uint8)

    def _photos(self, images: Sequence[Image], detection: PhotoDetection) -> list[Photo]:
        """Return the images as arrays for one block; none, with a note, where it holds none."""
        photos, fault = photos_for(detection.staging, images)
        if fault and fault not in self._noted:
            self._noted.add(fault)
            log.warning("%d images are copied one by one, not in one block: %s", len(images), fault)
        return photos

    @torch.inference_mode()
    def preprocess(self, images: Sequence[Image]) -> Float[Tensor, "B 3 S S"]:
        """Return the images as the network takes them: square, normalised, on the device.

        Resized as floats, aspect ratio not kept, bilinear with half-pixel centres and without
        antialiasing. Resizing uint8, which rounds, would change detections.

        Raises:
            SpecError: an image is not RGB uint8 [H, W, 3].

        Source: dbolya/yolact@902073d utils/augmentations.py, `FastBaseTransform`.
        """
        resized = [self._resize(image, i) for i, image in enumerate(images)]
        return torch.stack([(pixels - self._mean) / self._std for pixels in resized])

    @torch.inference_mode()
    def predict(self, batch: Float[Tensor, "B 3 S S"], clock: Clock = no_clock) -> Predictions:
        """Return the network's raw outputs as float32, computed in the chosen precision."""
        with self.runtime.context(self.device.type):
            raw: Predictions = self.network(batch, clock=clock)
        return map_tensors(raw.in_order(), Tensor.float)

    def _resize(self, image: Image, index: int) -> Float[Tensor, "3 S S"]:
        return resize(image, index, side=self.image_size, device=self.device)

    @torch.inference_mode()
    def _finish(self, soft: SoftDetections, clock: Clock) -> Detections:
        with clock("upsample"):
            detections = to_detections(soft)
        with clock("copy"):
            return on_host(detections)
