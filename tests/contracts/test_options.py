"""No numeric option of any component takes a number that makes no sense."""

import inspect
import math
import re
from collections.abc import Iterator

import pytest

from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.slots import options_of, resolve

# What an option without a default may be.
REQUIRED = {"sizes": [[[8.0, 8.0]]] * 5}


def numeric_options() -> Iterator[tuple[str, str, str, object]]:
    """Yield slot, component, option and a valid value of every option that holds numbers."""
    for slot, table in OWN.items():
        for name, component in table.items():
            for option, parameter in options_of(component).items():
                required = parameter.default is inspect.Parameter.empty
                value = REQUIRED.get(option) if required else parameter.default
                if isinstance(value, bool | str):
                    continue
                if value is not None or "float" in str(parameter) or "int" in str(parameter):
                    yield slot, name, option, value


def with_number(value: object, number: float) -> object:
    """Return the value with `number` as its first number."""
    if isinstance(value, list | tuple):
        return [with_number(value[0], number), *value[1:]]
    return int(number) if isinstance(value, int) and math.isfinite(number) else number


OPTIONS = list(numeric_options())


def test_there_are_options_to_look_at() -> None:
    """Those that had no range when this was written, and one that had: 60 and more in all."""
    names = {f"{slot}.{name}.{option}" for slot, name, option, _ in OPTIONS}
    assert {
        "anchors.free.sizes",
        "augment.ssd.max_expand",
        "batch_norm.auto.min_batch",
        "dcn.every_nth.n",
        "fpn.yolact.channels",
        "nms.sequential.grid_px",
        "rescore_net.mask_scoring.canonical_px",
        "schedule.steps.clip_norm",
    } < names
    assert len(names) > 60


@pytest.mark.parametrize("number", [math.nan, math.inf, -1e9])
@pytest.mark.parametrize(("slot", "name", "option", "value"), OPTIONS)
def test_a_number_out_of_range_is_refused(
    slot: str, name: str, option: str, value: object, number: float
) -> None:
    refused = with_number(value, number)
    where, got = re.escape(f"{slot}.{name}.{option}: "), re.escape(f", got {refused!r}")
    with pytest.raises(SpecError, match=f"^{where}expected a .*(above|at least|list of).*{got}$"):
        resolve(slot, components(slot), {"name": name, option: refused})
