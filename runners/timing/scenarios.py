"""What one timed call is: the network alone, the detector, or everything from bytes to masks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from runners.timing.detection_load import PlantedNetwork
from runners.timing.images import Picture, batch_of, period_of_batches
from yolact_bench.clock import Clock
from yolact_bench.detect.pipeline import Found
from yolact_bench.detector import Detector
from yolact_bench.geometry.run_lengths import mask_run_lengths
from yolact_bench.shapes import Predictions

MOST_BATCHES = 8  # prepared ones that are kept on the device for the scenario `model`


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One arm, set up to be called."""

    detector: Detector
    pictures: Sequence[Picture]
    batch_size: int
    planted: PlantedNetwork | None = None

    def batch(self, number: int) -> list[Picture]:
        """Return the pictures of a call."""
        return batch_of(self.pictures, number, self.batch_size)

    def prepare(self, number: int) -> None:
        """Plant the detections of a call's images; untimed."""
        if self.planted is not None:
            first = number * self.batch_size
            places = [(first + i) % len(self.pictures) for i in range(self.batch_size)]
            self.planted.show(places)


Timed = Callable[[int, Clock], object]  # one call of an arm: its number, and a clock of stages


def model(setup: Setup) -> Timed:
    """Return the call from normalised batches on the device to raw predictions on the device."""
    count = min(MOST_BATCHES, period_of_batches(setup.pictures, setup.batch_size))
    batches: list[Tensor] = [
        setup.detector.preprocess([picture.decoded for picture in setup.batch(number)])
        for number in range(count)
    ]

    def call(number: int, clock: Clock) -> Predictions:
        return setup.detector.predict(batches[number % count], clock)

    return call


def detector(setup: Setup) -> Timed:
    """Return the call from decoded images on the host to masks at prototype size, on the device."""

    def call(number: int, clock: Clock) -> list[Found]:
        return setup.detector.find([picture.decoded for picture in setup.batch(number)], clock)

    return call


def end_to_end(setup: Setup) -> Timed:
    """Return the call from the bytes of files to detections and run lengths on the host."""

    def call(number: int, clock: Clock) -> list[tuple[Found, list[str]]]:
        with clock("preprocess"):
            images = [picture.decode() for picture in setup.batch(number)]
        results = []
        for found in setup.detector.find(images, clock):
            with clock("copy"):
                on_host = found.cpu()
            with clock("upsample"):
                results.append((on_host, run_lengths(on_host)))
        return results

    return call


def run_lengths(found: Found) -> list[str]:
    """Return the masks of one image at image size, as COCO's compressed counts."""
    return mask_run_lengths(
        found.soft_masks, found.height, found.width, threshold=found.mask_threshold
    )


CALLS: Mapping[str, Callable[[Setup], Timed]] = {
    "model": model,
    "detector": detector,
    "end_to_end": end_to_end,
}


def images_of(scenario: str, setup: Setup) -> int:
    """Return after how many calls the images begin anew."""
    period = period_of_batches(setup.pictures, setup.batch_size)
    return min(MOST_BATCHES, period) if scenario == "model" else period


def detections_in(result: object) -> int | None:
    """Return how many detections one call found; None for raw predictions."""
    if not isinstance(result, list):
        return None
    return sum(len(one[0] if isinstance(one, tuple) else one) for one in result)
