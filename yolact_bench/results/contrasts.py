"""Which differences between arms are real: intervals, corrected p-values, and leaders."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import numpy as np

from yolact_bench.results.manifest import Manifest
from yolact_bench.results.metrics import RESAMPLED, fraction, seeds_text
from yolact_bench.results.record import Accuracy
from yolact_bench.results.resamples import Resamples
from yolact_bench.statistics.difference import (
    Difference,
    SeedResult,
    difference,
    holm,
    mean_difference,
)

LEVEL = 0.05
# What the main table judges. The other metrics are a family of their own, so that looking at
# more of them does not change the verdict on these.
HEADLINE = ("mask_ap", "box_ap")

_SeedResults = tuple[SeedResult, ...]
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
    arms = _Arms(manifest, accuracies, resamples)
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


def _judge(pairs: Mapping[_Key, tuple[_SeedResults, _SeedResults]]) -> dict[_Key, Contrast]:
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


class _Arms:
    """What each arm has, seed by seed."""

    def __init__(
        self, manifest: Manifest, accuracies: Mapping[str, Accuracy], resamples: Resamples
    ) -> None:
        self._manifest = manifest
        self._resamples = resamples
        self.names = [
            arm for arm in manifest.arm_changes if any(run.arm == arm for run in manifest.runs)
        ]
        self._done: dict[str, dict[int, Accuracy]] = {arm: {} for arm in self.names}
        for run in manifest.runs:
            if run.detect_digest in accuracies:
                self._done[run.arm][run.seed] = accuracies[run.detect_digest]

    def pair(self, arm: str, other: str, metric: str) -> tuple[_SeedResults, _SeedResults] | None:
        """Return both arms' results; None where one is not resampled, or on other images."""
        mine, theirs = self._done.get(arm, {}), self._done.get(other, {})
        results = self._results(mine, metric), self._results(theirs, metric)
        if len(results[0]) < max(1, len(mine)) or len(results[1]) < max(1, len(theirs)):
            return None
        if len({(r.sampling, len(r.resamples)) for side in results for r in side}) > 1:
            return None
        defined = np.isfinite(sum(r.resamples for side in results for r in side))
        return results if np.count_nonzero(defined) > 1 else None

    def delta(self, arm: str, metric: str) -> float | None:
        """Return the arm's mean over seeds minus the baseline's; None of the baseline itself."""
        baseline = self._manifest.baseline
        mine, theirs = self._points(arm, metric), self._points(baseline, metric)
        if arm == baseline or not mine or not theirs:
            return None
        return 100 * mean_difference(mine, theirs)

    def leader(self, metric: str) -> str | None:
        """Return the best arm if it is ahead of all others by more than chance explains.

        There is no leader unless the second best can be tested. Every other arm that can be
        tested counts, too. These tests are one family: the best of many often leads by chance.
        """
        means = {
            arm: fmean(points)
            for arm, done in self._done.items()
            if (points := [p for a in done.values() if (p := fraction(a, metric)) is not None])
        }
        best, *others = sorted(means, key=lambda arm: -means[arm]) or [""]
        pairs = [self.pair(best, other, metric) for other in others]
        results = [difference(*pair, level=LEVEL) if pair else None for pair in pairs]
        if not results or results[0] is None or not results[0].testable:
            return None
        testable = [d for d in results if d is not None and d.testable]
        ahead = all(d.value > 0 for d in testable) and max(holm([d.p for d in testable])) < LEVEL
        return best if ahead else None

    def lacking(self) -> Iterator[str]:
        """Yield why an arm cannot be compared with the baseline, one reason at most for each."""
        baseline = self._manifest.baseline
        if any(self._done.values()) and not self._resamples.arrays:
            yield "no run is resampled"
            return
        for arm, done in self._done.items():
            without = [s for s, a in done.items() if not self._results({s: a}, "mask_ap")]
            if without:
                yield f"{arm} ({seeds_text(without)}) is not resampled"
            elif done and self._complete(baseline) and not self.pair(arm, baseline, "mask_ap"):
                yield f"{arm} is resampled on other images than {baseline}"

    def _complete(self, arm: str) -> bool:
        done = self._done.get(arm, {})
        return bool(done) and len(self._results(done, "mask_ap")) == len(done)

    def _points(self, arm: str, metric: str) -> dict[str, float]:
        """The arm's fractions by training."""
        return {
            accuracy.train_digest: point
            for accuracy in self._done.get(arm, {}).values()
            if (point := fraction(accuracy, metric)) is not None
        }

    def _results(self, done: Mapping[int, Accuracy], metric: str) -> _SeedResults:
        """The results of those seeds that are resampled."""
        return tuple(
            SeedResult(
                point=point,
                resamples=resamples,
                training=accuracy.train_digest,
                seed=seed,
                sampling=self._resamples.sampling[accuracy.detect_digest],
            )
            for seed, accuracy in done.items()
            if (point := fraction(accuracy, metric)) is not None
            and (resamples := self._resamples.of(accuracy.detect_digest, metric)) is not None
        )
