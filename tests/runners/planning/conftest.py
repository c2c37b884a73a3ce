"""The plan of the small ablation, for all tests of plans."""

from pathlib import Path

import pytest

from runners.ablation.context import AblationContext
from runners.planning.plan import Plan
from tests.support.small_ablation import context, plan_spec, write_spec


@pytest.fixture
def at(tmp_path: Path) -> AblationContext:
    return context(tmp_path / "work")


@pytest.fixture
def plan(at: AblationContext, tmp_path: Path) -> Plan:
    return plan_spec(write_spec(tmp_path), at)
