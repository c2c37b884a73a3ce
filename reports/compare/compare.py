"""What changed between two work directories, or between two reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.compare.changes import compare_ablations
from reports.compare.comparison import ArmChange, Comparison, NumberChange
from reports.compare.sides import Side, read_side
from reports.compare.times import LatencyChange
from reports.tables.table import Column, R, number, tabulate, text
from yolact_bench.errors import SpecError, hint
from yolact_bench.results import manifest as manifests
from yolact_bench.text import align, decimal
from yolact_bench.work_names import REPORTS, RESULTS, is_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportComparison:
    """All differences between A and B."""

    a: str
    b: str
    only_in_a: tuple[str, ...]  # ablations
    only_in_b: tuple[str, ...]
    ablations: tuple[Comparison, ...]

    @property
    def differs(self) -> bool:
        """Whether arms, settings, numbers or failures differ. Provenance and times may."""
        alone = self.only_in_a or self.only_in_b
        return bool(alone) or any(ablation.differs for ablation in self.ablations)


def compare(a: str, b: str, *, name: str | None, work_dir: Path) -> ReportComparison:
    """Return what changed from A to B: two work directories, or two ablations.

    An ablation is given by its folder (work/reports/<name>) or by its name in `work_dir`.

    Raises:
        SpecError: neither exists, or the two are of different kinds.
    """
    work_a, work_b = _is_work(Path(a)), _is_work(Path(b))
    if work_a != work_b:
        lone = a if work_a else b
        raise SpecError(
            f"compare: {lone} is a work directory and {b if work_a else a} is one ablation; give "
            f"two of a kind, such as {lone}/reports/<name>"
        )
    if not work_a:
        if name is not None:
            raise SpecError("compare: --name is for those of two work directories; leave it out")
        pair = compare_ablations(_ablation(a, work_dir), _ablation(b, work_dir))
        return ReportComparison(a=a, b=b, only_in_a=(), only_in_b=(), ablations=(pair,))
    names_a, names_b = _names(Path(a)), _names(Path(b))
    if name is not None:
        for work, names in ((a, names_a), (b, names_b)):
            if name not in names:
                advice = hint(name, names)
                raise SpecError(f"compare: {work} has no ablation named {name!r}{advice}")
        names_a = names_b = [name]
    return ReportComparison(
        a=a,
        b=b,
        only_in_a=tuple(n for n in names_a if n not in names_b),
        only_in_b=tuple(n for n in names_b if n not in names_a),
        ablations=tuple(
            compare_ablations(_named_side(Path(a), one), _named_side(Path(b), one))
            for one in names_a
            if one in names_b
        ),
    )


def lines(compared: ReportComparison) -> Iterator[str]:
    """Yield the differences as text; `a → b` throughout."""
    yield f"A {compared.a}"
    yield f"B {compared.b}"
    for names, side in ((compared.only_in_a, "A"), (compared.only_in_b, "B")):
        yield from (f"ablation {name}: only in {side}" for name in names)
    for pair in compared.ablations:
        yield ""
        yield pair.title + ("" if pair.differs else ": no difference in arms, settings or numbers")
        for line in _lines_of(pair):
            yield f"  {line}"


def _lines_of(pair: Comparison) -> Iterator[str]:
    yield from (f"{c.what}: {c.a} → {c.b}" for c in pair.settings)
    yield from (f"arm {arm}: only in A" for arm in pair.arms_removed)
    yield from (f"arm {arm}: only in B" for arm in pair.arms_added)
    yield from (f"arm {c.a} is named {c.b} in B" for c in pair.arms_renamed)
    yield from _arms(pair.arm_settings)
    yield from _table(_NUMBERS, pair.numbers)
    yield from _arms(pair.records)
    yield from (f"failure, {c.what}: {c.a} → {c.b}" for c in pair.failures)
    yield from (f"{c.what}: {c.a} → {c.b}" for c in pair.provenance)
    yield from _table(_LATENCIES, pair.latencies)
    if pair.latency_refused:
        yield f"latencies not compared: {pair.latency_refused}"


def _arms(changes: Sequence[ArmChange]) -> Iterator[str]:
    for change in changes:
        yield f"arm {', '.join(change.arms)}: {change.what}: {change.a} → {change.b}"


_NUMBERS: tuple[Column[NumberChange], ...] = (
    text("arm", lambda c: c.arm),
    number("seed", lambda c: str(c.seed)),
    text("metric", lambda c: c.metric),
    number("A", lambda c: decimal(c.a)),
    number("B", lambda c: decimal(c.b)),
    number("Δ", lambda c: "" if c.delta is None else f"{c.delta:+.2f}"),
    text("", lambda c: "the same choices and data" if c.same_digest else ""),
)
_LATENCIES: tuple[Column[LatencyChange], ...] = (
    text("arm", lambda c: c.arm),
    text("scenario", lambda c: c.scenario),
    number("ms in A", lambda c: decimal(c.a)),
    number("ms in B", lambda c: decimal(c.b)),
    number("B / A", lambda c: decimal(c.ratio, 3)),
    text("", lambda c: c.refused or ("one session" if c.same_session else "two sessions")),
)


def _table(columns: Sequence[Column[R]], changes: Sequence[R]) -> Sequence[str]:
    table = tabulate("", columns, changes)
    return align([table.columns, *table.rows], left=table.words, indent=0) if changes else ()


def _is_work(path: Path) -> bool:
    """A work directory has records or reports; a report folder has its own manifest."""
    if (path / manifests.FILE.name).is_file():
        return False
    return (path / RESULTS).is_file() or (path / REPORTS).is_dir()


def _names(work_dir: Path) -> list[str]:
    return [file.parent.name for file in manifests.FILE.in_folders_of(work_dir / REPORTS)]


def _ablation(word: str, work_dir: Path) -> Side:
    folder = Path(word)
    if (folder / manifests.FILE.name).is_file():
        return read_side(folder.resolve().parents[1], folder)
    if not is_name(word) or not (work_dir / REPORTS / word / manifests.FILE.name).is_file():
        known = _names(work_dir)
        advice = hint(word, known) if known else "; give two work directories, or two ablations"
        raise SpecError(
            f"compare: {word!r} is not a work directory, a report folder or an ablation of "
            f"{work_dir}{advice}"
        )
    return _named_side(work_dir, word)


def _named_side(work_dir: Path, name: str) -> Side:
    return read_side(work_dir, work_dir / REPORTS / name)
