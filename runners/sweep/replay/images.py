"""Images of a stored forward pass, in memory for one variant after the other."""

from collections.abc import Iterable, Iterator, Sequence

from runners.evaluation.stored_pass import StoredPass
from runners.sweep.replay.kept import ImageCandidates, ImageDetections, Variant, detect_image
from runners.sweep.replay.overlaps import KnownOverlaps, Objects, OverlapMemory
from yolact_bench.build import build_detector
from yolact_bench.resolve import fact_of
from yolact_bench.runtime import Program
from yolact_bench.spec.run import Run


class TrialImages:
    """The candidates of some images, and the known overlaps of detections so far."""

    def __init__(
        self,
        stored: StoredPass,
        network: Program,
        objects: Sequence[Objects],
        indices: Sequence[int],
        *,
        device: str,
        candidate_bytes: float,
        known_bytes: float,
    ) -> None:
        """Open the images `indices` of a stored pass; `objects` has those of each.

        Candidates that would take more than `candidate_bytes` are read again for every run.

        Raises:
            SpecError: the stored pass is damaged.
        """
        self._stored, self._network, self._device = stored, network, device
        self._objects, self._indices = objects, indices
        self._memory = OverlapMemory(known_bytes)
        self._images: Sequence[ImageCandidates] | None = None
        if stored.num_bytes * len(indices) <= candidate_bytes * stored.num_images:
            self._images = list(self._read())

    def detect(self, run: Run) -> list[ImageDetections]:
        """Return the detections of a run in each image.

        Raises:
            ArmError: a score is not finite.
            SpecError: components of the run that do not fit together.
        """
        variant = Variant(
            detector=build_detector(run, self._network, device=self._device),
            rescores=not fact_of(run, "rescore", "keeps_scores"),
            row_by_row=self._device == "cpu" and bool(fact_of(run, "assembly", "row_by_row")),
        )
        detections = []
        images: Iterable[ImageCandidates] = self._read() if self._images is None else self._images
        for row, image in enumerate(images):
            known = self._memory.recall(run.assembly, row)
            if known is None or known.num_candidates != len(image.candidates):
                known = KnownOverlaps(self._objects[row], len(image.candidates))
            detections.append(detect_image(image, variant, known))
            self._memory.keep(run.assembly, row, known)
        return detections

    def _read(self) -> Iterator[ImageCandidates]:
        for index, objects in zip(self._indices, self._objects, strict=True):
            candidates, height, width = self._stored.candidates(index, self._device)
            yield ImageCandidates(
                image_id=objects.image_id, candidates=candidates, height=height, width=width
            )
