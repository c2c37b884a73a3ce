"""The fractions and resamples of an ablation's arms, and which arm leads."""

from collections.abc import Iterator, Mapping
from statistics import fmean

import numpy as np

from yolact_bench.results.manifest import Manifest
from yolact_bench.results.metrics import fraction, seeds_text
from yolact_bench.results.record import Accuracy
from yolact_bench.results.resamples import Resamples
from yolact_bench.statistics.difference import SeedResult, difference, holm, mean_difference

LEVEL = 0.05


SeedResults = tuple[SeedResult, ...]


class ComparedArms:
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

    def pair(self, arm: str, other: str, metric: str) -> tuple[SeedResults, SeedResults] | None:
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

    def _results(self, done: Mapping[int, Accuracy], metric: str) -> SeedResults:
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
