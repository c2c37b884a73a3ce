"""Images whose candidates wait in memory for the next way to detect."""

from collections.abc import Iterable, Iterator, Sequence

from runners.evaluation.stored_pass import StoredPass
from runners.sweep.replay.kept import KeptInImage, Making, Picture, kept_in
from runners.sweep.replay.overlap_memory import OverlapMemory
from runners.sweep.replay.overlaps import KnownOverlaps, Objects
from yolact_bench.build import build_detector
from yolact_bench.resolve import fact_of
from yolact_bench.runtime import Program
from yolact_bench.spec.run import Run


class TrialImages:
    """The candidates of some images, and how those that were kept so far lie over the objects."""

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
        """Take the images `indices` of a stored pass; `objects` are those of each.

        Candidates are read again for every run where they would take more than `candidate_bytes`.

        Raises:
            SpecError: the stored pass is damaged.
        """
        self._stored, self._network, self._device = stored, network, device
        self._objects, self._indices = objects, indices
        self._memory = OverlapMemory(known_bytes)
        self._pictures: Sequence[Picture] | None = None
        if stored.num_bytes * len(indices) <= candidate_bytes * stored.num_images:
            self._pictures = list(self._read())

    def kept(self, run: Run) -> list[KeptInImage]:
        """Return what the run keeps in each image.

        Raises:
            ArmError: a score is not finite.
            SpecError: parts of the run that do not fit together.
        """
        making = Making(
            detector=build_detector(run, self._network, device=self._device),
            rescores=not fact_of(run, "rescore", "keeps_scores"),
            row_by_row=self._device == "cpu" and bool(fact_of(run, "assembly", "row_by_row")),
        )
        kept = []
        pictures: Iterable[Picture] = self._read() if self._pictures is None else self._pictures
        for place, picture in enumerate(pictures):
            known = self._memory.recall(run.assembly, place)
            if known is None or known.num_candidates != len(picture.candidates):
                known = KnownOverlaps(self._objects[place], len(picture.candidates))
            kept.append(kept_in(picture, making, known))
            self._memory.keep(run.assembly, place, known)
        return kept

    def _read(self) -> Iterator[Picture]:
        for index, objects in zip(self._indices, self._objects, strict=True):
            candidates, height, width = self._stored.candidates(index, self._device)
            yield Picture(
                image_id=objects.image_id, candidates=candidates, height=height, width=width
            )
