"""The sections of a report in their order, for Markdown and HTML."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from reports.summary.aggregate import Summary
from reports.tables import detail, errors
from reports.tables import latency as latency_table
from reports.tables import paper as paper_table
from reports.tables.differences import differences
from reports.tables.main import comparison
from reports.tables.origins import origins
from reports.tables.table import Table
from yolact_bench.results.record import Environment
from yolact_bench.results.sweep import Sweep

_CAPTIONS = {
    "differences": "Differences to the baseline with 95 % intervals; filled: real",
    "errors": "Causes of lost mask AP50",
    "ap_against_ms": "Mask AP against milliseconds",
    "ap_by_iou": "Mask AP at every IoU threshold",
    "losses": "Losses and validation during training",
    "stages": "Where the milliseconds go",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, and what stands under it."""

    title: str
    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()  # stem, caption
    folded: bool = False  # long: closed at first where a page can do that
    notes: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()  # label, shell line
    link: tuple[str, str] | None = None  # address without suffix, text


def sections(summary: Summary, stems: Collection[str] = ()) -> tuple[Section, ...]:
    """Return the sections that have something to show; `stems` are those of the figures."""

    def figures(*wanted: str) -> tuple[tuple[str, str], ...]:
        return tuple((s, _CAPTIONS[s] + proxy_mark(summary)) for s in wanted if s in stems)

    published = (paper_table.against_paper(summary), paper_table.published_rows(summary))
    timed = (latency_table.latency, latency_table.stages)
    wanted = [
        Section(
            title="Result",
            tables=(comparison(summary), detail.changes(summary)),
            figures=figures("differences", "ap_against_ms"),
        ),
        Section(title="Differences", tables=(differences(summary),)),
        Section(title="Published numbers", tables=tuple(table for table in published if table)),
        Section(
            title="Accuracy in detail",
            tables=(detail.sizes(summary), detail.ious(summary)),
            figures=figures("ap_by_iou"),
        ),
        Section(
            title="Errors",
            tables=(
                *(errors.error_table(summary, kind) for kind in ("mask", "box")),
                errors.oracle_table(summary),
            ),
            figures=figures("errors"),
        ),
        Section(title="Mask AP by class", tables=(detail.classes(summary),), folded=True),
        Section(
            title="Latency in detail",
            tables=tuple(table(summary, one) for one in summary.sessions for table in timed),
            figures=figures("stages"),
        ),
        Section(title="Training", tables=(detail.trainings(summary),), figures=figures("losses")),
        Section(title="Where each number comes from", tables=(origins(summary),), folded=True),
    ]
    return tuple(
        replace(section, tables=filled)
        for section in wanted
        if (filled := tuple(with_mark(table, summary) for table in section.tables if table.rows))
    )


def main_tables(summary: Summary) -> tuple[Table, ...]:
    """Return those tables that a paper would print."""
    wanted = [
        comparison(summary),
        differences(summary),
        paper_table.against_paper(summary),
        paper_table.published_rows(summary),
        errors.error_table(summary, "mask"),
        errors.oracle_table(summary),
        *(latency_table.latency(summary, session) for session in summary.sessions[1:]),
    ]
    return tuple(with_mark(table, summary) for table in wanted if table is not None and table.rows)


def proxy_mark(of: Summary | Sweep) -> str:
    """Return what follows a title where a shortened schedule stands in; else nothing."""
    return f" (proxy: {of.proxy} budget)" if of.proxy else ""


def with_mark(table: Table, summary: Summary) -> Table:
    """Return the table, its title saying so if its numbers stand in for others."""
    return replace(table, title=table.title + ("" if table.is_published else proxy_mark(summary)))


def verdicts(summary: Summary) -> tuple[tuple[str, str, str], ...]:
    """Return verdict, expectation and numbers of every expectation."""
    words = {True: "met", False: "NOT MET", None: "unknown"}
    return tuple((words[o.met], o.text, o.detail) for o in summary.outcomes)


def provenance(summary: Summary) -> tuple[tuple[str, str], ...]:
    """Return what is needed to reproduce the numbers."""
    manifest = summary.manifest
    facts = [
        ("data", "; ".join(summary.datasets) or manifest.dataset),
        ("seeds", ", ".join(map(str, manifest.seeds))),
        ("declared changes", ", ".join(manifest.changes)),
    ]
    facts += [line for each in summary.environments for line in environment_lines(each)]
    for s in (session for session in summary.sessions if session.timings):
        warmup = sorted({timing.latency.warmup for timing in s.timings.values()})
        facts.append(
            (
                "timing",
                f"session {s.name}, seed {s.seed}, {s.timer}, {s.label}, "
                f"{' to '.join(str(n) for n in dict.fromkeys((warmup[0], warmup[-1])))} "
                "warm-up calls an arm",
            )
        )
    if any(row.proxy for row in summary.rows):
        arms = ", ".join(row.arm for row in summary.rows if row.proxy)
        budget = f" (--budget {summary.proxy})" if summary.proxy else ""
        facts.append(("proxy", f"shortened schedules{budget}: {arms}"))
    failed = [f"{f.arm}, {f.phase} ({f.kind}): {f.message}" for f in summary.failures]
    return (*facts, *(("failed", text) for text in failed))


def environment_lines(e: Environment) -> tuple[tuple[str, str], ...]:
    """Return source, device and versions in words."""
    dirty = " with uncommitted changes" if e.dirty else ""
    driver = f", driver {e.driver}" if e.driver else ""
    return (
        ("commit", f"{e.commit}{dirty}"),
        ("device", f"{e.device}{driver}, {e.threads} CPU threads, {e.os}"),
        ("versions", ", ".join(f"{name} {v}" for name, v in e.versions.items() if v)),
    )
