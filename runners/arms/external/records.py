"""Records of other frameworks' results: their accuracy, and the time that they report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from runners.arms.evaluate import score_unit
from runners.arms.external.predict import predict_external
from runners.arms.external.reported_latency import ReportedLatency
from runners.arms.external.results import read_facts
from runners.system.environment import now
from runners.units.unit import ExternalUnit, identity
from runners.units.workplace import Workplace
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.results.record import Environment, Latency, Record, TimingProtocol


def evaluate_external(unit: ExternalUnit, place: Workplace) -> tuple[Record, ...]:
    """Return the records of one result: the time that it reports, if any, and its accuracy.

    Raises:
        ArmError: bad_results, or the command failed.
    """
    with bad_results():
        folder = predict_external(unit, place)
        facts = read_facts(folder)
        accuracy = score_unit(unit, place, folder)
    boxes = "; boxes are those around the masks" if facts.boxes_around_masks else ""
    accuracy = replace(accuracy, origin=unit.external.origin + boxes)
    return (accuracy,) if facts.latency is None else (_latency(unit, facts.latency), accuracy)


@contextmanager
def bad_results() -> Iterator[None]:
    """Turn what is wrong with result files into a failure of their row alone.

    Raises:
        ArmError: bad_results, for a SpecError of the block.
    """
    try:
        yield
    except SpecError as error:
        raise ArmError("bad_results", str(error)) from error


def _latency(unit: ExternalUnit, reported: ReportedLatency) -> Latency:
    """Return the time that a framework reports, in a session that compares with no other."""
    what = "median alone" if reported.only_median else "samples"
    return Latency(
        **identity(unit),
        session=f"external-{unit.detect_digest}",
        interleaved_with=(unit.arm,),
        scenario=reported.scenario,
        timer=f"reported by itself ({what})",
        precision=reported.precision,
        samples_ms=reported.samples_ms,
        stages_ms={},
        image_ids=(),
        warmup=0,
        peak_memory_mb=None,
        environment=Environment(
            commit="unknown",
            dirty=False,
            device=reported.device,
            device_type="unknown",
            threads=0,
            driver="unknown",
            os="unknown",
            versions=reported.software,
        ),
        time=now(),
        reported=True,
        protocol=TimingProtocol(version=reported.protocol),
    )
