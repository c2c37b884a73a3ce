"""Every component keeps the contract of its slot, as does one of a package that is installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from runners.system.environment import package_versions
from yolact_bench.build import build_detector, build_network, load_detector
from yolact_bench.catalog import OWN, components
from yolact_bench.contracts import Check, checks_of
from yolact_bench.detect.graph.fixed import FixedDetection
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_architecture
from yolact_bench.slots import form_of, outside_entries
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run

# Half a minute of compilation each; tests of the runtimes compile and compare a network as well.
COMPILED = {("runtime", name) for name in OWN["runtime"] if name != "eager"}


def _marks(slot: str, name: str, check: Check) -> tuple[pytest.MarkDecorator, ...]:
    compiles = (slot, name) in COMPILED and "computes" in check.__name__
    return (pytest.mark.slow,) if compiles else ()


EVERY = [
    pytest.param(
        slot,
        name,
        check,
        id=f"{slot}-{name}-{check.__name__}",
        marks=_marks(slot, name, check),
    )
    for slot, table in OWN.items()
    for name in table
    for check in checks_of(slot)
]

PACKAGE = '''
"""NMS of another package: by classes together, and without a fixed form."""

from functools import wraps

from yolact_bench.detect.nms.cross_class_fast import (
    cross_class_fast_nms,
    fixed_cross_class_fast_nms,
)
from yolact_bench.slots import with_facts


@with_facts(fixed=fixed_cross_class_fast_nms)
def with_form(boxes, scores, *, min_score: float = 0.05, max_iou: float = 0.5, top_k: int = 200,
              max_detections: int | None = None):
    """Return what overlaps no better box. Source: this test."""
    return cross_class_fast_nms(boxes, scores, min_score=min_score, max_iou=max_iou, top_k=top_k,
                                max_detections=max_detections)


def without_form(boxes, scores, *, min_score: float = 0.05, max_detections: int = 100):
    """Return the same without a form of fixed sizes. Source: this test."""
    return cross_class_fast_nms(boxes, scores, min_score=min_score, max_detections=max_detections)


def careless(boxes, scores, *, min_score: float = 0.05, max_detections: int = 100):
    """Return the same, worst first. Source: this test."""
    kept = without_form(boxes, scores, min_score=min_score, max_detections=max_detections)
    return type(kept)(anchor=kept.anchor.flip(0), label=kept.label, score=kept.score)
'''
ENTRIES = """[yolact_bench.nms]
with_form = other_nms:with_form
without_form = other_nms:without_form
careless = other_nms:careless
"""
METADATA = "Metadata-Version: 2.1\nName: other-nms\nVersion: {}\n"


@pytest.mark.parametrize(("slot", "name", "check"), EVERY)
def test_a_component_keeps_the_contract_of_its_slot(slot: str, name: str, check: Check) -> None:
    check(slot, name)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with three NMS, as pip would leave it."""
    info = tmp_path / "other_nms-1.0.dist-info"
    info.mkdir()
    (tmp_path / "other_nms.py").write_text(PACKAGE)
    (info / "METADATA").write_text(METADATA.format("1.0"))
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    _forget_packages()
    yield info
    _forget_packages()
    sys.modules.pop("other_nms", None)


def _forget_packages() -> None:
    components.cache_clear()
    outside_entries.cache_clear()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["with_form", "without_form"])
@pytest.mark.parametrize("check", checks_of("nms"), ids=lambda check: check.__name__)
def test_an_nms_of_another_package_keeps_the_contract(name: str, check: Check) -> None:
    check("nms", name)


@pytest.mark.usefixtures("installed")
def test_a_careless_nms_of_another_package_is_noticed() -> None:
    failed = []
    for check in checks_of("nms"):
        try:
            check("nms", "careless")
        except AssertionError:
            failed.append(check.__name__)
    assert "nms_keeps_boxes_that_do_not_overlap" in failed


@pytest.mark.usefixtures("installed")
def test_an_nms_of_another_package_serves_a_graph_if_it_brings_a_fixed_form() -> None:
    """On a CPU the program is built and run, though no graph can be recorded."""
    detector = load_detector("yolact_tiny", image_size=72, nms={"name": "with_form"})
    form = form_of(detector.head.nms, "fixed")
    assert form is not None
    with torch.inference_mode():
        raw = detector.predict(torch.randn(1, 3, 72, 72))
        fixed = FixedDetection(detector.head, form)(raw)
        wanted = detector.head.find(raw, 0, height=72, width=72)
    assert bool(fixed.exact[0])
    assert torch.equal(fixed.labels[0][fixed.scores[0] > 0], wanted.labels)
    for name, fault in (("with_form", None), ("without_form", "no form of fixed sizes.*with_form")):
        changes = {"runtime": {"name": "cuda_graph"}, "nms": {"name": name}}
        run = resolve_architecture(preset("yolact_tiny").changed(changes))
        with torch.device("meta"):
            network = build_network(run, initial=False)
        if fault is None:
            build_detector(run, network, device="meta")
        else:
            with pytest.raises(SpecError, match=fault):
                build_detector(run, network, device="meta")


def _digests(nms: str) -> tuple[str, str, str]:
    run = resolve_architecture(preset("yolact_tiny").changed({"nms": nms}))
    assert Run.from_dict(run.as_dict()) == run
    return run.train_digest, run.forward_digest, run.detect_digest


def test_the_version_of_another_package_is_part_of_the_digests_of_its_phase(
    installed: Path,
) -> None:
    """And of the record of every number; our own components have none."""
    first = _digests("with_form")
    assert package_versions()["other-nms"] == "1.0"
    (installed / "METADATA").write_text(METADATA.format("2.0"))
    _forget_packages()
    second = _digests("with_form")
    assert package_versions()["other-nms"] == "2.0"
    assert first[:2] == second[:2] == _digests("fast")[:2]  # detection alone is another
    assert first[2] != second[2]
    assert "packages" not in resolve_architecture(preset("yolact_tiny")).as_dict()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            "[yolact_bench.nsm]\na = other_nms:careless",
            "no slot is named 'nsm'.*'nms'",
        ),
        (
            "[yolact_bench.nms]\na = other_nms:absent",
            "a of the package other-nms 1.0 cannot",
        ),
        (
            "[yolact_bench.nms]\nfast = other_nms:careless",
            "other-nms 1.0 offers a second",
        ),
    ],
)
def test_a_mistake_of_another_package_names_it(installed: Path, entries: str, message: str) -> None:
    (installed / "entry_points.txt").write_text(entries)
    _forget_packages()
    with pytest.raises(SpecError, match=message):
        components("nms")
