"""The breakdown of one arm: shares, ceilings, traffic, and what is written of them."""

import json
from pathlib import Path

import pytest
import torch

from reports.pages.profile_page import table, write
from runners.profiling.ceilings import Sizes, measure_ceiling
from runners.profiling.profile import profile_arm, stage_profiles
from runners.timing.device.host import host_facts, read_host
from runners.timing.session import ArmTimes
from runners.units.macs import count_stages
from runners.units.operator_cost import Cost
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.device_facts import DeviceFacts
from yolact_bench.results.profile import Ceiling, Profile, StageProfile
from yolact_bench.results.record import TimingProtocol
from yolact_bench.results.serialise import from_plain
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.run import Run

COSTS = {
    "backbone": Cost(macs=100, operations=8, moved_bytes=1000, fused_bytes=600, parameters=100),
    "head": Cost(macs=50, operations=2, moved_bytes=300, fused_bytes=300, parameters=25),
    "nms": Cost(operations=7, moved_bytes=80),
    "upsample": Cost(macs=9, moved_bytes=70, fused_bytes=70),
}


def run_of(**slots: object) -> Run:
    return resolve_architecture(read_run("yolact_tiny", relative_to=Path()).changed(slots))


def timed(stages_ms: dict[str, float], scenario: str = "detector") -> ArmTimes:
    return ArmTimes(
        scenario=scenario,
        timer="wall clock",
        batch_size=1,
        samples_ms=(1.0,),
        enqueue_ms=(),
        image_ids=(0,),
        stages_ms={stage: (ms,) * 3 for stage, ms in stages_ms.items()},
        warmup=1,
        peak_memory_mb=None,
        load="crowded_100",
        protocol=TimingProtocol(),
        invalid="",
        facts=DeviceFacts(host=host_facts(read_host(), read_host())),
        energy_mj=None,
    )


def stages_of(
    stages_ms: dict[str, float], *, batch_size: int = 1, scenario: str = "detector", **slots: object
) -> dict[str, StageProfile]:
    found = stage_profiles(COSTS, timed(stages_ms, scenario), run_of(**slots), batch_size)
    return {stage.stage: stage for stage in found}


def test_a_stage_achieves_two_operations_for_each_mac_a_second() -> None:
    """2 · 100 + 8 = 208 in 2 ms: 104 000 a second, 0.000104 billions; 208 / 1000 for a byte."""
    backbone = stages_of({"backbone": 2.0})["backbone"]
    assert backbone.gflops == pytest.approx(0.000104)
    assert backbone.intensity == pytest.approx(0.208)


def test_a_batch_reads_its_weights_once() -> None:
    """Backbone: 100 weights of 4 bytes once, and four times the other 1000 − 400."""
    backbone = stages_of({}, batch_size=4)["backbone"]
    assert (backbone.moved_bytes, backbone.macs) == (400 + 4 * 600, 400)


def test_half_precision_moves_half_in_the_network_alone() -> None:
    half = stages_of({}, runtime={"name": "eager", "precision": "bf16"})
    assert (half["backbone"].moved_bytes, half["nms"].moved_bytes) == (500, 80)


def test_a_scenario_has_no_stage_that_comes_after_it() -> None:
    assert stages_of({}, scenario="model").keys() == {"backbone", "head"}
    assert stages_of({}, scenario="detector").keys() == {"backbone", "head", "nms"}
    assert "upsample" in stages_of({}, scenario="end_to_end")


def test_a_stage_of_many_costs_what_they_cost_together() -> None:
    """A whole graph: what follows it, here nms, has a time of its own."""
    found = stages_of({"graph": 1.0, "nms": 1.0}, scenario="model")
    assert found.keys() == {"graph", "nms"}
    assert found["graph"].macs == 100 + 50 + 9


def test_the_roof_is_the_lower_of_arithmetic_and_memory() -> None:
    top = Ceiling(gflops=100.0, gflops_by="a product", gigabytes_per_second=20.0)
    assert [top.at(x) for x in (1.0, 5.0, 50.0)] == [20.0, 100.0, 100.0]


def test_probes_are_measured_and_say_what_reached_the_most() -> None:
    sizes = Sizes(side=64, map_side=4, floats=4096)
    top = measure_ceiling(torch.device("cpu"), "fp32", seconds=0.01, sizes=sizes)
    assert top.gflops > 0 and top.gigabytes_per_second > 0
    assert "64" in top.gflops_by or "256 channels" in top.gflops_by


@pytest.fixture(scope="module")
def profiled() -> Profile:
    plan = LatencyPlan(load="constant_10", max_s=1.0)
    return profile_arm("yolact_tiny", device="cpu", settings=["image_size=72"], plan=plan)


def test_an_untrained_arm_is_profiled_with_a_declared_load(profiled: Profile) -> None:
    assert (profiled.weights, profiled.load) == ("untrained", "constant_10")
    stages = {stage.stage: stage for stage in profiled.stages}
    assert all(stages[name].ms for name in ("preprocess", "backbone", "head", "nms", "assembly"))
    counted = count_stages(run_of(image_size=72))
    assert stages["backbone"].macs == counted["backbone"].macs


def test_a_profile_is_a_page_two_figures_and_its_numbers(profiled: Profile, tmp_path: Path) -> None:
    page = write(profiled, tmp_path)
    text = page.read_text()
    assert "| backbone" in text and "constant_10" in text and "measured just now" in text
    for name in ("stages.png", "stages.svg", "roofline.png", "roofline.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    assert from_plain(Profile, json.loads((tmp_path / "profile.json").read_text())) == profiled


def test_shares_sum_to_the_whole(profiled: Profile) -> None:
    shares = [row[6] for row in table(profiled).rows[:-1]]
    assert sum(float(s.rstrip("%")) for s in shares if s != "–") == pytest.approx(100, abs=0.6)


def test_a_profile_of_an_unknown_arm_or_load_is_an_error() -> None:
    with pytest.raises(SpecError, match="yolact_tinny"):
        profile_arm("yolact_tinny", device="cpu")
    with pytest.raises(SpecError, match=r"load: .*crowded_100"):
        LatencyPlan(load="crowded_1000x")
