"""One timed call of an arm: the network alone, the detector, or everything from bytes to masks."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice

from torch import Tensor

from runners.timing.detection_load import impose_load
from runners.timing.images import Image, Picture
from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detector import Detector
from yolact_bench.geometry.run_lengths import mask_run_lengths
from yolact_bench.loads import Load
from yolact_bench.shapes import Predictions

MOST_BATCHES = 8  # prepared ones that are kept on the device for the scenario `model`


class TimingError(RuntimeError):
    """One arm could not be timed; `__cause__` says why. No time of its session is kept."""

    def __init__(self, arm: str) -> None:
        super().__init__(f"{arm} could not be timed")
        self.arm = arm


class PreparedArm:
    """One arm, ready to be called in a scenario. A failure in a call is a `TimingError`."""

    def __init__(
        self,
        name: str,
        detector: Detector,
        pictures: Sequence[Picture],
        *,
        scenario: str,
        batch_size: int = 1,
        load: Load | None = None,
        stack: ExitStack,
    ) -> None:
        """Impose the load, if there is one, until the stack closes.

        Raises:
            TimingError: the arm cannot be prepared.
        """
        self.name, self.scenario, self.batch_size = name, scenario, batch_size
        self.load = load.name if load else ""
        self.detector, self.pictures = detector, pictures
        self._loaded = None
        self.batches: list[Tensor] = []
        try:
            if load is not None:
                batch = detector.preprocess([pictures[0].decoded] * batch_size)
                self._loaded = stack.enter_context(
                    impose_load(detector, load, batch, images=len(pictures))
                )
            if scenario == "model":
                images = map(self.decode_images, range(self.period))
                self.batches = [detector.preprocess(one) for one in images]
            self._call = CALLS[scenario]
        except Exception as error:
            raise TimingError(name) from error

    @property
    def period(self) -> int:
        """After how many calls the images begin anew."""
        period = len(self.pictures) // math.gcd(len(self.pictures), self.batch_size)
        return min(MOST_BATCHES, period) if self.scenario == "model" else period

    def twin(self) -> "PreparedArm":
        """The same arm once more; what fails in it fails under the arm's own name."""
        return copy.copy(self)

    def batch(self, number: int) -> list[Picture]:
        """The pictures of a call: they take turns."""
        return [self.pictures[place] for place in self._places(number)]

    def decode_images(self, number: int) -> list[Image]:
        return [picture.decoded for picture in self.batch(number)]

    def image_ids(self, count: int) -> tuple[int, ...]:
        """The (first) image of each of the first `count` calls."""
        one_turn = [self.batch(number)[0].image_id for number in range(self.period)]
        return tuple(islice(cycle(one_turn), count))

    def prepare(self, number: int) -> None:
        """Write the detections of a call's images, where a load is imposed; untimed."""
        if self._loaded is not None:
            self._loaded.write(self._places(number))

    def call(self, number: int, clock: Clock = no_clock) -> object:
        try:
            return self._call(self, number, clock)
        except Exception as error:
            raise TimingError(self.name) from error

    def _places(self, number: int) -> list[int]:
        first = number * self.batch_size
        return [(first + i) % len(self.pictures) for i in range(self.batch_size)]

    def __call__(self, number: int) -> object:
        self.prepare(number)
        return self.call(number)


def model(arm: PreparedArm, number: int, clock: Clock) -> Predictions:
    """From a normalised batch on the device to raw predictions on the device."""
    return arm.detector.predict(arm.batches[number % len(arm.batches)], clock)


def detector(arm: PreparedArm, number: int, clock: Clock) -> list[SoftDetections]:
    """From decoded images on the host to masks at prototype size, on the device."""
    return arm.detector.find(arm.decode_images(number), clock)


def end_to_end(
    arm: PreparedArm, number: int, clock: Clock
) -> list[tuple[SoftDetections, list[str]]]:
    """From the bytes of files to detections and run lengths on the host."""
    with clock("preprocess"):
        images = [picture.decode() for picture in arm.batch(number)]
    results = []
    for detections in arm.detector.find(images, clock):
        with clock("upsample"):
            size, threshold = (detections.height, detections.width), detections.mask_threshold
            masks = mask_run_lengths(detections.soft_masks, *size, threshold=threshold)
        with clock("copy"):
            results.append((detections.without_masks().cpu(), masks))
    return results


# Scenario → one call of an arm, given the number of the call and a clock for its stages.
CALLS: Mapping[str, Callable[[PreparedArm, int, Clock], object]] = {
    "model": model,
    "detector": detector,
    "end_to_end": end_to_end,
}


def detections_in(result: object) -> list[SoftDetections] | None:
    """Return what one call detected, image by image; None for raw predictions."""
    if not isinstance(result, list):
        return None
    return [one[0] if isinstance(one, tuple) else one for one in result]
