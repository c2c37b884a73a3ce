"""Scores of predictions on disk, and AP on resampled images."""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.evaluation.coco.score import score
from runners.evaluation.files import BOX_FILE, MASK_FILE
from runners.system.helper_process import HelperProcess, can_start_helpers
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.results.files import atomic_path
from yolact_bench.results.record import ApSummary
from yolact_bench.results.resamples import ap_columns, save_resamples
from yolact_bench.statistics.bootstrap import multiplicities, resampled_ap, sampling_name
from yolact_bench.statistics.matches import AREAS, Values, load_matches
from yolact_bench.statistics.matches import FILES as MATCH_FILES

if TYPE_CHECKING:  # a helper process scores without loading what data sets need
    from yolact_bench.data.protocol import Dataset

log = logging.getLogger(__name__)

# Bytes of box results, some 40 000 detections, from which on a helper process saves time.
_WORTH_A_PROCESS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Box and mask metrics of one detector on one data set."""

    box: ApSummary
    mask: ApSummary
    crowded_images: int = 0  # with more objects of a class than detections that count


def score_predictions(
    dataset: "Dataset",
    folder: Path,
    *,
    scoring: str = "pycocotools",
    evaluation: Evaluation = COCO_OPTIONS,
) -> Scores:
    """Return box and mask AP of the predictions that `predict` left in `folder`.

    The matches are left beside them, for `resample`. Boxes and masks are scored side by side where
    there are many. `scoring` names the engine.

    Raises:
        SpecError: the files are missing or damaged, or belong to another data set.
        ArmError: the helper process died.
    """
    truth = dataset.ground_truth()
    options = {"scoring": scoring, "evaluation": evaluation}
    run = partial(score, truth, class_names=class_names(dataset), **options)  # type: ignore[arg-type]
    crowded = crowded_images(truth, evaluation)
    files = {kind: folder / name for kind, name in MATCH_FILES.items()}
    score_boxes = partial(run, folder / BOX_FILE, kind="bbox", save_matches=files["box"])
    score_masks = partial(run, folder / MASK_FILE, kind="segm", save_matches=files["mask"])
    if not _worth_a_process(folder / BOX_FILE):
        return Scores(box=score_boxes(), mask=score_masks(), crowded_images=crowded)
    with HelperProcess() as helper:
        helper.send(score_boxes)
        mask = score_masks()
        return Scores(box=helper.receive(), mask=mask, crowded_images=crowded)


def resample(
    folder: Path, out: Path, *, eval_data: str, replicates: int = 1000, areas: bool = False
) -> None:
    """Write box and mask AP, AP50 and AP75 on `replicates` resamples of the images to `out`.

    `folder` holds the matches that scoring left beside its predictions; `eval_data` is the
    fingerprint of the evaluation data, which decides the images drawn, so that all results on
    the same data are paired. `areas` adds AP of small, medium and large objects.

    Raises:
        SpecError: the folder has no matches, or damaged ones.
    """
    columns: dict[str, Values] = {}
    evaluated = {kind: load_matches(folder / name) for kind, name in MATCH_FILES.items()}
    num_images = evaluated["box"].num_images
    assert evaluated["mask"].num_images == num_images
    weights = multiplicities(eval_data, num_images=num_images, replicates=replicates)
    for kind, matches in evaluated.items():
        for area in AREAS if areas else AREAS[:1]:
            columns |= ap_columns(kind, area, resampled_ap(matches, weights, area=area))
    sampling = sampling_name(eval_data, num_images=num_images, replicates=replicates)
    with atomic_path(out) as temporary:
        save_resamples(temporary, columns, sampling=sampling)
    log.debug("%s: AP on %d resamples of %d images", out.name, replicates, num_images)


def crowded_images(ground_truth: Mapping[str, Any], evaluation: Evaluation) -> int:
    """Return how many images have more objects of a class than detections that count.

    There even perfect detections do not reach an AP of 1.
    """
    names = {one["id"]: one["name"] for one in ground_truth["categories"]}
    objects = Counter(
        (one["image_id"], one["category_id"])
        for one in ground_truth["annotations"]
        if not one.get("iscrowd") and evaluation.scores(names[one["category_id"]])
    )
    return len({image for (image, _), number in objects.items() if number > evaluation.max_dets})


def class_names(dataset: "Dataset") -> dict[int, str]:
    """Return category id → name."""
    return dict(zip(dataset.category_ids, dataset.classes, strict=True))


def _worth_a_process(results: Path) -> bool:
    large = results.is_file() and results.stat().st_size >= _WORTH_A_PROCESS
    return large and len(os.sched_getaffinity(0)) > 1 and can_start_helpers()
