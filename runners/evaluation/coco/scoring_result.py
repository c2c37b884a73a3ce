"""What every engine returns."""

from collections.abc import Callable
from dataclasses import dataclass

from runners.evaluation.coco.instances import Float64
from yolact_bench.statistics.matches import Matches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoringResult:
    """What every engine returns: precision and recall, and what they follow from.

    Letters: A ranges of size, all sizes first; T thresholds of IoU, R levels of recall, K classes.
    Both are -1 where there is nothing to find.
    """

    precision: Float64  # [A, T, R, K]
    # [A + 2, T, K]; the last two rows are over all sizes, with only the best detection and the best
    # ten of an image and class.
    recall: Float64
    category_ids: tuple[int, ...]  # of the classes
    matches: Callable[[], Matches]

    @property
    def stats(self) -> list[float]:
        """COCO's twelve metrics in the order of COCOeval; -1 where there is nothing to find.

        Source: pycocotools, COCOeval.summarize, whose AP is of 100 detections whatever is set.
        """
        every, small, medium, large, best, best_ten = range(len(self.recall))
        ap = [self.precision[every], self.precision[every, :1], self.precision[every, 5:6]]
        ap += [self.precision[area] for area in (small, medium, large)]
        ar = [self.recall[row] for row in (best, best_ten, every, small, medium, large)]
        present = [values[values > -1] for values in (*ap, *ar)]
        return [float(values.mean()) if len(values) else -1.0 for values in present]
