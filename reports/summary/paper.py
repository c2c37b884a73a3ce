"""Published numbers, read from paper.yaml and checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from yolact_bench.errors import SpecError, hint
from yolact_bench.results.serialise import from_plain
from yolact_bench.yaml_text import parse_yaml

PAPER_SCHEMA = 1
FILE = Path(__file__).parents[1] / "paper.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How a kind of number is headed and printed."""

    label: str
    digits: int
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One line of a published table, or one published effect."""

    name: str
    values: Mapping[str, float]  # AP in percentage points; keys of `units`
    split: str
    gpu: str | None  # of the speeds
    source: str
    where: str | None  # table, row or section
    checked: bool  # false: recalled, not read again


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperGroup:
    """The rows that an ablation prints beside its own."""

    title: str
    rows: tuple[PaperRow, ...]
    units: Mapping[str, Quantity]  # of the values that occur, in table order


def paper_group(key: str, file: Path = FILE) -> PaperGroup:
    """Return the group of that name, such as "yolact_plus.dcn".

    Raises:
        SpecError: there is none, or the file of published numbers is wrong.
    """
    groups = paper_groups(file)
    if key not in groups:
        raise SpecError(f"paper: no rows are named {key!r}{hint(key, groups)}")
    return groups[key]


def check_paper(key: str, rows: Iterable[str] = ()) -> None:
    """Do nothing if that group of published rows has all these; for use before anything runs.

    Raises:
        SpecError: no such group or row; the message names the nearest.
    """
    known = {row.name: row for row in paper_group(key).rows}
    for name in rows:
        if name not in known:
            raise SpecError(f"paper_rows: {key} has no row named {name!r}{hint(name, known)}")


@cache
def paper_groups(file: Path = FILE) -> Mapping[str, PaperGroup]:
    """Return all groups of the file by name.

    Raises:
        SpecError: another schema, a missing or unknown key, an unknown source or unit.
    """
    data, _ = parse_yaml(file.read_text(), where=file.name)
    if not isinstance(data, dict) or data.get("schema") != PAPER_SCHEMA:
        raise SpecError(f"{file.name}: expected schema: {PAPER_SCHEMA} at the top")
    units = {
        key: Quantity(label=u["label"], digits=u["digits"], signed=u.get("signed", False))
        for key, u in data["units"].items()
    }
    return {
        key: _group(f"{file.name}: {key}", group, units, data["sources"])
        for key, group in data["groups"].items()
    }


def _group(
    where: str, data: Mapping[str, Any], units: Mapping[str, Quantity], sources: Mapping[str, str]
) -> PaperGroup:
    _check_keys(where, data, ("title", "split", "gpu", "rows"))
    defaults = {"split": data["split"], "gpu": data["gpu"]}
    rows = tuple(_row(where, {**defaults, **row}, units, sources) for row in data["rows"])
    names = {name for row in rows for name in row.values}
    return PaperGroup(
        title=data["title"],
        rows=rows,
        units={name: unit for name, unit in units.items() if name in names},
    )


def _row(
    where: str, data: Mapping[str, Any], units: Mapping[str, Quantity], sources: Mapping[str, str]
) -> PaperRow:
    where = f"{where}: row {data.get('name')!r}"
    _check_keys(where, data, [field.name for field in fields(PaperRow)])
    for name in data["values"]:
        if name not in units:
            raise SpecError(f"{where}: no unit is named {name!r}{hint(str(name), units)}")
    source = data["source"]
    if source not in sources:
        raise SpecError(f"{where}: no source is named {source!r}{hint(str(source), sources)}")
    return from_plain(PaperRow, {**data, "source": sources[source]})


def _check_keys(where: str, data: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in data:
        if key not in keys:
            raise SpecError(f"{where}: unknown key {key!r}{hint(key, keys)}")
    missing = [key for key in keys if key not in data]
    if missing:
        raise SpecError(f"{where}: missing {', '.join(missing)}; write them")
