"""Which differences between arms are real: intervals, corrected p-values, and leaders."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from yolact_bench.results.compared_arms import LEVEL, ComparedArms, SeedResults
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.metrics import RESAMPLED
from yolact_bench.results.record import Accuracy
from yolact_bench.results.resamples import Resamples
from yolact_bench.statistics.difference import Difference, difference, holm

# What the main table judges. The other metrics are a family of their own, so that looking at
# more of them does not change the verdict on these.
HEADLINE = ("mask_ap", "box_ap")

_Key = tuple[str, str]  # arm, metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One metric of one arm against the baseline. AP in percentage points."""

    arm: str
    metric: str
    value: float
    low: float  # of the 95 % interval
    high: float
    image_se: float  # standard error from the choice of images
    seed_se: float | None  # from the seeds; None: one seed
    mde: float  # smallest true difference that would be found with 80 % probability
    testable: bool  # False: different trainings of one seed, so nothing is known about seeds
    p: float  # as it stands, from the less certain of images and seeds
    p_holm: float | None  # corrected over the family; None: not testable
    pairs: int

    def row(self, baseline: str) -> dict[str, object]:
        """Return the columns that every table of differences has."""
        return {
            "arm": self.arm,
            "metric": self.metric,
            "baseline": baseline,
            "delta": self.value,
            "low": self.low,
            "high": self.high,
            "image_se": self.image_se,
            "seed_se": self.seed_se,
            "p": self.p,
            "p_holm": self.p_holm,
            "detectable": self.mde if math.isfinite(self.mde) else None,
            "seeds": self.pairs,
        }

    @property
    def is_real(self) -> bool:
        """Whether images and seeds both say so, among all differences of the family."""
        return self.p_holm is not None and self.p_holm < LEVEL

    @property
    def verdict(self) -> str:
        """The mark behind the number."""
        if not self.testable:
            return "1 seed"
        return "*" if self.is_real else "n.s."


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """All contrasts of an ablation, and what is missing for more."""

    by_key: Mapping[_Key, Contrast]
    delta: Callable[[str, str], float | None]  # arm, metric → points, also without interval
    leader: Callable[[str], str | None]  # metric → arm that is significantly the best, if any
    replicates: int
    missing: tuple[str, ...]  # why some differences have no interval

    def of(self, arm: str, metric: str) -> Contrast | None:
        """Return the contrast, if there is one."""
        return self.by_key.get((arm, metric))

    def tests(self, *, headline: bool) -> int:
        """Return over how many differences of that family the correction goes."""
        return sum(c.testable for c in self.by_key.values() if (c.metric in HEADLINE) is headline)


def contrasts(
    manifest: Manifest, accuracies: Mapping[str, Accuracy], resamples: Resamples
) -> Contrasts:
    """Return every contrast for which both arms have resamples of the same images."""
    arms = ComparedArms(manifest, accuracies, resamples)
    others = [arm for arm in arms.names if arm != manifest.baseline]
    by_key: dict[_Key, Contrast] = {}
    for headline in (True, False):
        pairs = {
            (arm, metric): pair
            for metric in RESAMPLED
            if (metric in HEADLINE) is headline
            for arm in others
            if (pair := arms.pair(arm, manifest.baseline, metric)) is not None
        }
        by_key |= _judge(pairs)
    return Contrasts(
        by_key=by_key,
        delta=arms.delta,
        leader=cache(arms.leader),
        replicates=resamples.replicates,
        missing=tuple(arms.lacking()),
    )


def _judge(pairs: Mapping[_Key, tuple[SeedResults, SeedResults]]) -> dict[_Key, Contrast]:
    """Test a family of differences against zero, corrected for their number."""
    plain = {key: difference(*pair, level=LEVEL) for key, pair in pairs.items()}
    testable = [key for key, one in plain.items() if one.testable]
    corrected = dict(zip(testable, holm([plain[key].p for key in testable]), strict=True))
    # To be found among many, a difference must pass the stricter level: it must be larger.
    strict = LEVEL / max(1, len(testable))
    return {
        key: _contrast(key, one, difference(*pairs[key], level=strict).mde, corrected.get(key))
        for key, one in plain.items()
    }


def _contrast(key: _Key, difference: Difference, mde: float, p_holm: float | None) -> Contrast:
    return Contrast(
        arm=key[0],
        metric=key[1],
        value=100 * difference.value,
        low=100 * difference.low,
        high=100 * difference.high,
        image_se=100 * difference.image_se,
        seed_se=None if difference.seed_se is None else 100 * difference.seed_se,
        mde=100 * mde,
        testable=difference.testable,
        p=difference.p,
        p_holm=p_holm,
        pairs=difference.pairs,
    )
