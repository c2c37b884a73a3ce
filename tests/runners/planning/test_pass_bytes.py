"""The bytes of the forward passes that a plan will write, and how large each may be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from runners.ablation.context import AblationContext
from runners.evaluation.files import PredictionKey
from runners.evaluation.stored_pass import META_FILE
from runners.planning.cost import estimate
from runners.planning.plan import Plan
from runners.planning.text.ablation import plan_lines
from runners.planning.user_rates import UserRates
from runners.training.checkpoint import save_final
from tests.support.small_ablation import SPEC, plan_spec, write_spec
from yolact_bench.errors import SpecError

TWO_PASSES = "  k_2_sequential: {protonet.k: 2, nms: {name: sequential, grid_px: 72}}\n"


def test_each_pass_may_take_what_may_be_stored(at: AblationContext, tmp_path: Path) -> None:
    """As each is bounded while it is written. With 2 prototypes, a candidate is 12 numbers.

    3 · 4 · (18 · 18 · 4 + 1000 · 14) = 183,552 bytes and 3 · 4 · (18 · 18 · 2 + 1000 · 12).
    """
    plan = plan_spec(write_spec(tmp_path, SPEC + TWO_PASSES), at)
    found = estimate(plan, replace(at.place, max_store_bytes=183_552.0), UserRates())
    assert found.forward_bytes == 183_552 + 151_776


@pytest.mark.parametrize(
    ("min_score", "trained", "left"), [(0.05, True, 0), (0.06, True, 1), (0.05, False, 1)]
)
def test_a_pass_on_disk_is_not_written_again(
    plan: Plan, at: AblationContext, tmp_path: Path, min_score: float, trained: bool, left: int
) -> None:
    """Both arms look at candidates from 0.05 on; a training repeated needs its pass again.

    The pass of k_2 is made in any case.
    """
    unit = plan.steps[0].unit
    if trained:
        at.place.checkpoint_folder(unit.run).mkdir(parents=True)
        facts = {"train_digest": unit.train_digest}
        save_final(at.place.weights(unit.run), run=unit.run, facts=facts, network=nn.Linear(1, 1))
    folder = at.place.predictions(unit.forward_digest)
    facts = PredictionKey(unit.forward_digest, unit.train_digest, 3).facts("forward_digest")
    folder.mkdir(parents=True)
    (folder / META_FILE).write_text(json.dumps({**facts, "min_score": min_score, "bytes": 1}))
    again = plan_spec(tmp_path / "small.yaml", at)
    found = estimate(again, at.place, UserRates())
    assert found.forward_bytes == left * 183_552
    assert len(again.passes) == 1 + left
    rows = plan_lines(again, found)[2:5]
    assert [row.count("forward pass") for row in rows] == [left, 1, 0]


def test_passes_larger_than_may_be_stored_are_refused_before_anything_runs(
    plan: Plan, at: AblationContext
) -> None:
    """3 images of 18 · 18 · 4 prototype values and 1000 candidates of 14, 4 bytes each: 183,552."""
    for most, refused in ((183_551.0, True), (183_552.0, False), (0.0, False)):
        place = replace(at.place, max_store_bytes=most)
        if refused:
            with pytest.raises(SpecError, match=r"forward pass of k_4 .*--max-store 0"):
                estimate(plan, place, UserRates())
        else:
            found = estimate(plan, place, UserRates())
            assert bool(found.forward_bytes) == bool(most)
