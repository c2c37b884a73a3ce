"""Whatever stands at any place of a spec, the spec is read, or refused with its file."""

import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest
import yaml

from runners.planning.user_rates import parse_rates
from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.errors import SpecError
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.sweep.sweep import load_sweep

Place = tuple[str | int, ...]
HOSTILE = (
    *(None, True, -1, 10**30, float("nan"), float("inf"), "", "x\n\0y", "x" * 5000),
    *([], {}, [[]], [{}], {"a": [1]}, {"name": ["a"]}, {"name": {}}, [None, 1]),
)
BASE = {"schema": 1, "base": "yolact_tiny", "set": {"image_size": 96, "nms": {"name": "fast"}}}
ABLATION = {
    **BASE,
    "name": "n",
    "dataset": {"name": "shapes", "seed": 1},
    "baseline": "a",
    "changes": ["protonet.k"],
    "seeds": [0, 1],
    "measure": ["accuracy"],
    "arms": {"a": {}, "b": {"protonet.k": 8}},
    "latency": {"rel_ci": 0.01, "scenarios": ["model"], "load": "own", "twin": True},
    "budgets": {"short": {"schedule.iterations": 10}},
    "external": {
        "e": {"segm": "segm.json"},
        "c": {"command": "x {out}", "version": "1", "timeout_minutes": 1},
    },
    "paper": "yolact",
    "paper_rows": {"a": "x"},
    "expect": ["x"],
}
WITHOUT_ARMS = {key: value for key, value in ABLATION.items() if key not in ("arms", "paper_rows")}
GRID = {**WITHOUT_ARMS, "baseline": "k_4", "grid": {"protonet.k": [4, 8]}}
SWEEP = {
    **BASE,
    "mode": "single",
    "objectives": {"mask_ap": "maximise"},
    "latency": {"max_s": 1},
    "trials": 3,
    "sampler": {"name": "tpe", "seed": 0},
    "pruner": {"name": "median"},
    "seed_from": ["n"],
    "validate_every": 5,
    "space": {"protonet.k": {"low": 1, "high": 3}, "nms": {"fast": {"max_iou": [0.5]}, "soft": {}}},
}
CHANGES = {key: value for key, value in BASE.items() if key != "schema"}
FILES = {"images": "i", "annotations": "a.json"}
DATASET = {"name": "n", "root": ".", "train": FILES, "val": FILES, "classes": ["a"]}
RATES = {"every": 1.0, "presets": {"yolact_r50": 2.0}, "evaluation": 3.0}
READERS: Mapping[str, tuple[object, Callable[[Path], object]]] = {
    "ablation": (ABLATION, load),
    "grid": (GRID, load),
    "sweep": (SWEEP, load_sweep),
    "dataset": (DATASET, read_dataset_file),
    "base": (CHANGES, lambda path: read_run(path.name, relative_to=path.parent)),
    "rates": (RATES, lambda path: parse_rates([], file=path)),
}


def places(value: object, place: Place = ()) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else inner:
        yield (*place, key)
        yield from places(item, (*place, key))


def with_value(spec: object, place: Place, value: object) -> object:
    changed = copy.deepcopy(spec)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[place[-1]] = value  # type: ignore[index]
    return changed


# 31 has no factor in common with the 17 values, so that each stands at some of the places.
@pytest.mark.parametrize("step", [31, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", READERS)
def test_a_value_of_any_kind_is_read_or_refused_with_its_file(
    kind: str, step: int, tmp_path: Path
) -> None:
    spec, read = READERS[kind]
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    read(path)  # as it stands it can be read
    for place, value in list(product(places(spec), HOSTILE))[::step]:
        path.write_text(yaml.safe_dump(with_value(spec, place, value)))
        try:
            read(path)
        except SpecError as error:
            for one in error.parts or (error,):
                assert str(one).startswith(str(path)), (place, value)
        except Exception as error:
            raise AssertionError(f"{place}: {value!r}") from error


@pytest.mark.parametrize("factor", ["x" * 5000, "\x1b[2J", "a\x9b"])
def test_a_declared_factor_is_printed_in_words(factor: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    for changes in ([factor, "protonet.k"], [factor]):
        path.write_text(yaml.safe_dump({**ABLATION, "changes": changes}))
        with pytest.raises(SpecError, match=r"is declared, but|is not among changes") as error:
            load(path)
        for line in str(error.value).splitlines():
            assert line.isprintable()
            assert len(line) < 400 + len(str(path))


@pytest.mark.parametrize("schema", [True, "1", None])
def test_a_schema_is_a_number(schema: object, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**ABLATION, "schema": schema}))
    with pytest.raises(SpecError, match="expected schema: 1"):
        load(path)
