"""A look at a network in training, by its accuracy on the first validation images."""

from collections.abc import Callable, Mapping

from runners.evaluation.predict import validate
from yolact_bench.build import PLAIN, build_detector, runtime_of
from yolact_bench.data import Dataset
from yolact_bench.model.network import Yolact
from yolact_bench.spec.run import Run

VALIDATION_IMAGES = 64


def validation_of(
    run: Run, open_images: Callable[[], Dataset], *, device: str
) -> Callable[[Yolact], Mapping[str, float]]:
    """Return what validates a network of `run`; no number of a table comes from it.

    Weights change before the next look, so that compiling for one would never pay.
    """
    plain = {**PLAIN["runtime"], "precision": runtime_of(run).precision}
    run = run.changed({"runtime": plain})

    def look(network: Yolact) -> Mapping[str, float]:
        detector = build_detector(run, network, device=device)
        scores = validate(detector, open_images(), max_images=VALIDATION_IMAGES)
        found = {"mask_ap": scores.mask.ap, "mask_ap50": scores.mask.ap50, "box_ap": scores.box.ap}
        return {name: value or 0.0 for name, value in found.items()}

    return look
