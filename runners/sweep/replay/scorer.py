"""Scores of many detection settings of one trained network, each in a second or less.

A trial of a search over detection needs a few numbers, not files. The output of the network stays
in memory, and so do the overlaps of candidates that an earlier trial kept; little more than NMS and
matching is left to do.
"""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from runners.arms.evaluate import keep_pass
from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.engine_vectorised import score_matches
from runners.evaluation.coco.index import truth_index
from runners.evaluation.coco.instances import Instances, instances_of
from runners.evaluation.coco.matching import match
from runners.evaluation.coco.score import summary
from runners.evaluation.score import Scores, class_names
from runners.evaluation.stored_pass import lowest_score
from runners.sweep.replay.detect import (
    ImageCandidates,
    ImageDetections,
    TrialDetector,
    detect_image,
)
from runners.sweep.replay.overlaps import ImageObjects, KnownOverlaps, OverlapMemory
from runners.units.unit import Unit
from runners.units.workplace import Workplace, trained_detector
from yolact_bench.build import build_detector
from yolact_bench.data import Dataset
from yolact_bench.evaluation import Evaluation
from yolact_bench.resolve import fact_of
from yolact_bench.results.record import ApSummary
from yolact_bench.spec.run import Run

CANDIDATE_BYTES = 4e9  # above, every trial reads candidates from the stored pass
KNOWN_BYTES = 2e9  # of overlaps


class TrialScorer:
    """Box and mask AP of detection variants of one trained network, from its stored forward pass.

    The scores are those of `evaluate_unit`, to the bit.
    """

    def __init__(
        self,
        unit: Unit,
        place: Workplace,
        *,
        min_score: float,
        candidate_bytes: float = CANDIDATE_BYTES,
        known_bytes: float = KNOWN_BYTES,
    ) -> None:
        """Open or make the stored pass of a trained unit with the candidates above `min_score`.

        Memory: `candidate_bytes` (of the device), `known_bytes` and one trial's detections.
        Candidates that would take more are read again for every run.

        Raises:
            SpecError: the stored pass is damaged.
            ArmError: an image cannot be read, or the pass is larger than may be stored.
        """
        self._forward_digest = unit.run.forward_digest
        self._device = place.device
        dataset = place.datasets.open(unit.data, unit.split)
        self._stored = keep_pass(unit, place, min_score=min_score)
        self._truth = _Truth(dataset, unit.evaluation)
        self._network = trained_detector(unit.run, place).network
        self._memory = OverlapMemory(known_bytes)
        self._images: Sequence[ImageCandidates] | None = None
        if self._stored.num_bytes <= candidate_bytes:
            self._images = list(self._read())

    def can_score(self, run: Run) -> bool:
        """Return whether the stored pass has all that the detection of a run needs."""
        lowest = lowest_score(run)
        same_network = run.forward_digest == self._forward_digest
        same_terms = run.evaluation == self._truth.evaluation
        all_there = lowest is not None and lowest >= self._stored.min_score
        return same_network and same_terms and all_there

    def score(self, run: Run) -> Scores:
        """Return the scores that `evaluate_unit` would give this run, which `can_score` accepts.

        Raises:
            ArmError: a score is not finite.
            SpecError: components of the run that do not fit together.
        """
        images = self._detect(run)
        return Scores(
            box=self._truth.scores(images, "bbox"), mask=self._truth.scores(images, "segm")
        )

    def _detect(self, run: Run) -> list[ImageDetections]:
        trial = TrialDetector(
            detector=build_detector(run, self._network, device=self._device),
            rescores=not fact_of(run, "rescore", "keeps_scores"),
            row_by_row=self._device == "cpu" and bool(fact_of(run, "assembly", "row_by_row")),
        )
        detections = []
        images: Iterable[ImageCandidates] = self._read() if self._images is None else self._images
        for row, (image, objects) in enumerate(zip(images, self._truth.objects, strict=True)):
            known = self._memory.recall(run.assembly, row)
            if known is None or known.num_candidates != len(image.candidates):
                known = KnownOverlaps(objects, len(image.candidates))
            detections.append(detect_image(image, trial, known))
            self._memory.keep(run.assembly, row, known)
        return detections

    def _read(self) -> Iterator[ImageCandidates]:
        for index, objects in enumerate(self._truth.objects):
            candidates, height, width = self._stored.candidates(index, self._device)
            yield ImageCandidates(
                image_id=objects.image_id, candidates=candidates, height=height, width=width
            )


class _Truth:
    """The ground truth, of the classes that are scored."""

    def __init__(self, dataset: Dataset, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress by print
            index = truth_index(dataset.ground_truth(), evaluation)
        classes = {number: column for column, number in enumerate(sorted(index.cats))}
        rows = {number: row for row, number in enumerate(sorted(index.imgs))}
        image_ids = [dataset.image_id(place) for place in range(len(dataset))]
        self.objects = [ImageObjects(index, image_id, classes) for image_id in image_ids]
        self._instances = instances_of(index.dataset["annotations"], rows, classes)
        self._num_images = len(rows)
        self._names, self._category_ids = class_names(dataset), tuple(classes)
        self._row = [rows[image_id] for image_id in image_ids]  # of each image of the data set
        # Of each label; -1 of a class that is not scored.
        columns = [classes.get(number, -1) for number in dataset.category_ids]
        self._column = np.array(columns, np.int64)

    def scores(self, images: Sequence[ImageDetections], kind: ShapeKind) -> ApSummary:
        """Return COCO's metrics of the detections of each image of the data set."""
        parts, overlaps = [], {}
        for row, image, objects in zip(self._row, images, self.objects, strict=True):
            label = self._column[image.label]
            score = image.score if kind == "bbox" else image.mask_score
            area, iou = image.facts.of(kind)
            if self.evaluation.classes:
                scored = label >= 0
                label, score, area, iou = label[scored], score[scored], area[scored], iou[scored]
            parts.append((np.full(len(label), row), label, area, score))
            most = self.evaluation.max_dets
            for column, of_class in objects.by_class(label, score, iou, most):
                overlaps[row, column] = of_class
        matches = match(
            _instances(parts),
            self._instances,
            overlaps,
            num_images=self._num_images,
            num_classes=len(self._category_ids),
            evaluation=self.evaluation,
        )
        return summary(score_matches(matches, self._category_ids), self._names)


def _instances(parts: Sequence[tuple[np.ndarray, ...]]) -> Instances:
    image, label, area, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Instances(
        image=image, label=label, area=area, score=score, is_crowd=np.zeros(len(image), bool)
    )
