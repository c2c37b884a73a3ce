"""Scores of predictions on disk: boxes and masks side by side where there are many."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runners.evaluation.coco.index import Kind
from runners.evaluation.coco.score import score
from runners.evaluation.files import BOX_FILE, MASK_FILE
from runners.system.helper_process import HelperProcess, can_start_helpers
from yolact_bench.results.record import ApSummary
from yolact_bench.statistics.matches import FILES as MATCH_FILES

if TYPE_CHECKING:  # a process beside this one scores without loading what data sets need
    from yolact_bench.data.protocol import Dataset

# Bytes of box results, some 40 000 detections, from which a process of its own pays.
_WORTH_A_PROCESS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Box and mask metrics of one detector on one data set."""

    box: ApSummary
    mask: ApSummary


def evaluate(dataset: "Dataset", folder: Path, *, scoring: str = "pycocotools") -> Scores:
    """Return box and mask AP of the predictions that `predict` left in `folder`.

    What was matched is left beside them, for AP on resampled images. `scoring` names the engine.

    Raises:
        SpecError: the files are missing or damaged, or belong to another data set.
        ArmError: the process beside this one died.
    """
    truth, names = dataset.ground_truth(), class_names(dataset)
    if not _worth_a_process(folder / BOX_FILE):
        box = score_file(truth, folder, kind="bbox", class_names=names, scoring=scoring)
        mask = score_file(truth, folder, kind="segm", class_names=names, scoring=scoring)
        return Scores(box=box, mask=mask)
    with HelperProcess() as helper:
        helper.send(score_file, truth, folder, kind="bbox", class_names=names, scoring=scoring)
        mask = score_file(truth, folder, kind="segm", class_names=names, scoring=scoring)
        return Scores(box=helper.receive(), mask=mask)


def score_file(
    truth: Mapping[str, object],
    folder: Path,
    *,
    kind: Kind,
    class_names: Mapping[int, str],
    scoring: str,
) -> ApSummary:
    """Return the metrics of the boxes or the masks in `folder`, leaving the matches beside them.

    Raises:
        SpecError: the file is missing or damaged, or belongs to another data set.
    """
    results, matches = (BOX_FILE, "box") if kind == "bbox" else (MASK_FILE, "mask")
    return score(
        truth,
        folder / results,
        kind=kind,
        class_names=class_names,
        save_matches=folder / MATCH_FILES[matches],
        scoring=scoring,
    )


def class_names(dataset: "Dataset") -> dict[int, str]:
    """Return category id → name."""
    return dict(zip(dataset.category_ids, dataset.classes, strict=True))


def _worth_a_process(results: Path) -> bool:
    try:
        large = results.stat().st_size >= _WORTH_A_PROCESS
    except OSError:
        return False  # scoring says what is wrong with it
    return large and len(os.sched_getaffinity(0)) > 1 and can_start_helpers()
