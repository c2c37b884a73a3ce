"""Predictions on disk, to be scored from there: a fault in scoring costs no forward pass."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from runners.evaluation.coco.detections import Entry
from runners.evaluation.coco.score import score
from runners.evaluation.decode import decoded_batches
from runners.evaluation.encode import Encoders, encode_lines, entries, run_lengths
from runners.evaluation.files import Lines, PredictionKey, is_complete, prediction_files
from runners.evaluation.score import Scores, class_names
from runners.system.helper_process import can_start_helpers
from runners.system.progress import progress
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detector import Detector

_WORTH_A_PROCESS = 200  # images: a process takes a second or two to start


def predict(
    detector: Detector,
    dataset: Dataset,
    folder: Path,
    key: PredictionKey,
    *,
    batch_size: int = 1,
    processes: int = 0,
    title: str = "evaluate",
) -> Path:
    """Return `folder`, holding the detector's predictions on every image of `dataset`.

    bbox.json and segm.json are COCO result files; meta.json, written last, says that both are
    complete and what they are of. Complete predictions of the same key are not made again.

    Larger batches round differently in the network's sums: scores differ from the sixth digit
    on. Up to `processes` helpers encode masks while the network runs, if there are images
    enough; they change nothing.

    Raises:
        ArmError: an image cannot be read.
    """
    if is_complete(folder, key):
        return folder
    enough = len(dataset) // _WORTH_A_PROCESS if can_start_helpers() else 0
    processes = min(processes, enough)
    images = range(len(dataset))
    all_images = find_all(detector, dataset, images, batch_size, threads=max(1, processes))
    with Encoders(processes) if processes else nullcontext() as encoders:
        lines = encode_lines(all_images, dataset.category_ids, encoders)
        write_predictions(lines, folder, key, batch_size=batch_size, title=title)
    return folder


def write_predictions(
    all_lines: Iterable[Lines], folder: Path, key: PredictionKey, *, batch_size: int, title: str
) -> None:
    """Write the lines of each image, in order, to files that are then complete."""
    with (
        prediction_files(folder, key, batch_size=batch_size) as predictions,
        progress(title, key.num_images) as advance,
    ):
        for done, lines in enumerate(all_lines, start=1):
            predictions.write(lines)
            advance(done, f"{predictions.length} detections")


def validate(detector: Detector, dataset: Dataset, *, max_images: int | None = None) -> Scores:
    """Return the scores on the first `max_images` images, or all, without writing a file.

    To follow a training; results come from `predict` and `score_predictions`.
    """
    images = range(len(dataset))[:max_images]
    by_image = list(detections(detector, dataset, images))
    boxes = [entry for of_boxes, _ in by_image for entry in of_boxes]
    masks = [entry for _, of_masks in by_image for entry in of_masks]
    scored = partial(
        score,
        dataset.ground_truth(),
        class_names=class_names(dataset),
        image_ids=[dataset.image_id(index) for index in images],
    )
    return Scores(box=scored(boxes, kind="bbox"), mask=scored(masks, kind="segm"))


def detections(
    detector: Detector, dataset: Dataset, indices: Sequence[int]
) -> Iterator[tuple[list[Entry], list[Entry]]]:
    """Yield box entries and mask entries of each image, in order, in COCO's result format."""
    for in_image, image_id in find_all(detector, dataset, indices, 1):
        masks = run_lengths(in_image)  # from where its soft masks are
        on_host = in_image.without_masks().cpu()
        yield entries(on_host, masks, image_id, dataset.category_ids)


def find_all(
    detector: Detector, dataset: Dataset, indices: Sequence[int], batch_size: int, threads: int = 1
) -> Iterator[tuple[SoftDetections, int]]:
    """Yield the detections in each image and its id, in order."""
    for batch in decoded_batches(dataset, indices, size=batch_size, threads=threads):
        of_batch = detector.find([image for _, image in batch])
        for (index, _), in_image in zip(batch, of_batch, strict=True):
            yield in_image, dataset.image_id(index)
