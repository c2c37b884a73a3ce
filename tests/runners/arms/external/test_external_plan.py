"""Rows of other frameworks in a plan: what is to do for them, what a failure leaves out."""

from dataclasses import replace
from pathlib import Path

import pytest

from runners.arms.external.plan import adopt_files
from runners.planning.cost import estimate
from runners.planning.text.ablation import plan_lines
from runners.planning.user_rates import UserRates
from tests.support import fake_work
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import SpecError

ROWS = """\
external:
  given: {segm: masks.json}
  script: {command: "{python} script.py {out}", version: "1"}
"""


@pytest.mark.parametrize("retry", [False, True])
def test_a_failed_row_is_left_out_until_it_is_retried(tmp_path: Path, retry: bool) -> None:
    """Its file is not read either, although it does not hold results."""
    (tmp_path / "masks.json").write_text("{")
    (tmp_path / "script.py").write_text("")
    spec = write_spec(tmp_path, SPEC + "measure: [accuracy]\n" + ROWS)
    at = context(tmp_path / "work", retry_failed=retry)
    for step in plan_spec(spec, at).external:
        digest = step.unit.detect_digest
        at.store.add(replace(fake_work.failure(phase="evaluate"), detect_digest=digest))
    plan = plan_spec(spec, at)
    text = "\n".join(plan_lines(plan, estimate(plan, at.place, UserRates())))
    assert text.count("--retry-failed retries it") == (0 if retry else 2)
    assert ("2 rows of other frameworks" in text) == retry
    if retry:
        with pytest.raises(SpecError, match=r"external\.given"):
            adopt_files(plan.external, at.place)
    else:
        adopt_files(plan.external, at.place)
