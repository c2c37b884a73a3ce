"""The arms that the command `latency` times: their detectors, loads and images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.timing.calls import TimingError
from runners.timing.images import read_pictures
from runners.timing.session import ArmTimes, time_session
from runners.units.check import resolve_unit
from runners.units.unit import Unit
from runners.units.workplace import Workplace, is_trained
from yolact_bench.build import build_detector, build_network
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.loads import LOADS, UNTRAINED_LOAD, Load, find_load
from yolact_bench.spec.latency import OWN_LOAD, LatencyPlan
from yolact_bench.weights.load import load_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRequest:
    """The arguments of `latency`."""

    arms: Sequence[str]
    weights: Path | None
    dataset: str | None
    settings: Sequence[str]
    place: Workplace
    data_root: Path | None
    plan: LatencyPlan
    load: str | None  # None: a declared load for untrained arms alone
    rounds: int | None

    def units(self) -> dict[str, Unit]:
        """Return every arm, checked.

        Raises:
            SpecError: an invalid arm, or weights for more than one.
        """
        if self.weights is not None and len(self.arms) > 1:
            raise SpecError(
                f"--weights: expected one arm, got {', '.join(self.arms)}; time them one by one"
            )
        how = self.dataset, self.settings, self.place, self.data_root
        return {arm: resolve_unit(arm, *how, split="val") for arm in self.arms}

    def detectors(self, units: Mapping[str, Unit]) -> tuple[dict[str, Detector], dict[str, str]]:
        """Return a detector for every unit, and "given", "trained" or "untrained"."""
        detectors, sources = {}, {}
        for arm, unit in units.items():
            network = build_network(unit.run, initial=False)
            own = self.place.weights(unit.run) if is_trained(unit, self.place) else None
            file = self.weights or own
            if file is not None:
                digest = "" if self.weights else unit.train_digest
                load_weights(network, file, classes=unit.run.classes, train_digest=digest)
            sources[arm] = "given" if self.weights else "trained" if own else "untrained"
            detectors[arm] = build_detector(unit.run, network, device=self.place.device)
        return detectors, sources

    def loads(self, sources: Mapping[str, str]) -> dict[str, Load]:
        """Return the requested load for all arms, or else a declared one if they are untrained.

        Raises:
            SpecError: some arms are untrained, others not, and no load makes them equal.
        """
        if self.load not in (None, OWN_LOAD):
            return dict.fromkeys(sources, find_load(self.load))
        untrained = [arm for arm, source in sources.items() if source == "untrained"]
        others = [arm for arm in sources if arm not in untrained]
        if untrained and others:
            raise SpecError(
                f"--load: untrained: {', '.join(untrained)}; trained: {', '.join(others)}; their "
                "numbers of detections differ, so their times do not compare; write --load "
                f"{UNTRAINED_LOAD}, which gives all the same, or train the former first"
            )
        return {} if self.load == OWN_LOAD else dict.fromkeys(untrained, LOADS[UNTRAINED_LOAD])

    def times(
        self,
        scenario: str,
        units: Mapping[str, Unit],
        detectors: Mapping[str, Detector],
        loads: Mapping[str, Load],
    ) -> Mapping[str, ArmTimes]:
        """Return the times of one scenario, on the images of the first arm's data set.

        Raises:
            Exception: whatever an arm failed with.
        """
        first = units[self.arms[0]]
        pictures = read_pictures(self.place.datasets.open(first.data, first.split))
        try:
            return time_session(
                detectors,
                pictures,
                scenario=scenario,
                plan=self.plan,
                loads=loads,
                rounds=self.rounds,
            )
        except TimingError as error:
            assert error.__cause__ is not None
            raise error.__cause__ from None
