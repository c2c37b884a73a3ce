"""The profile of an arm as a page: the table of its stages, a roofline and a bar of its time."""

import json
from collections.abc import Callable
from pathlib import Path

from reports.pages.markdown import escape, markdown_table
from reports.tables.table import Column, Table, number, tabulate, text
from yolact_bench.results.files import write_atomically
from yolact_bench.results.profile import Profile, StageProfile
from yolact_bench.results.serialise import to_plain
from yolact_bench.text import NOT_AVAILABLE, count


def table(profile: Profile) -> Table:
    """Return one row for every stage, and their sum."""
    total = StageProfile(
        stage="all",
        parameters=profile.parameters,
        macs=profile.macs,
        operations=sum(stage.operations for stage in profile.stages),
        moved_bytes=sum(stage.moved_bytes for stage in profile.stages),
        ms=profile.stages_ms,
    )

    def rate(
        head: str, of: Callable[[StageProfile], float | None], form: str, drop: int
    ) -> Column[StageProfile]:
        """A column without a sum."""
        return number(head, lambda s: "" if s is total else _number(of(s), form), drop=drop)

    columns: tuple[Column[StageProfile], ...] = (
        text("stage", lambda s: s.stage),
        number("params, M", lambda s: f"{s.parameters / 1e6:.2f}", drop=5),
        number("GMAC", lambda s: f"{s.macs / 1e9:.3g}", drop=3),
        number("other Gop", lambda s: f"{s.operations / 1e9:.3g}", drop=7),
        number("MB moved", lambda s: f"{s.moved_bytes / 1e6:.0f}", drop=6),
        number("ms", lambda s: _number(s.ms, ".2f")),
        rate("share", lambda s: s.ms and s.ms / profile.stages_ms, ".1%", 1),
        rate("GFLOP/s", lambda s: s.gflops, ".3g", 2),
        rate("FLOP/byte", lambda s: s.intensity, ".1f", 8),
        rate("of ceiling", lambda s: _share(s, profile), ".0%", 4),
    )
    fault = [f"The times do not count: {profile.invalid}."] if profile.invalid else []
    notes = (*fault, _what(profile), _how(profile), _ceiling(profile))
    rows = (*profile.stages, total)
    return tabulate(f"{profile.arm}: where the milliseconds go", columns, rows, notes=notes)


def write(profile: Profile, folder: Path) -> Path:
    """Write profile.md, profile.json and the figures into `folder`; return the page's path."""
    from reports.figures.profile import draw

    for stem, files in draw(profile).items():
        for suffix, content in files.items():
            write_atomically(folder / f"{stem}.{suffix}", content)
    plain = json.dumps(to_plain(profile), indent=1, ensure_ascii=False)
    write_atomically(folder / "profile.json", plain + "\n")
    page = folder / "profile.md"
    text = (
        f"# {escape(profile.arm)}: profile\n\n{markdown_table(table(profile))}\n\n"
        "![Time by stage](stages.png)\n\n![Roofline](roofline.png)\n"
    )
    write_atomically(page, text)
    return page


def _share(stage: StageProfile, profile: Profile) -> float | None:
    if stage.intensity is None or stage.gflops is None:
        return None
    return stage.gflops / profile.ceiling.at(stage.intensity)


def _number(value: float | None, form: str) -> str:
    return NOT_AVAILABLE if value is None else format(value, form)


def _what(profile: Profile) -> str:
    env = profile.environment
    threads = f", {count(env.threads, 'thread')}" if env.device_type == "cpu" else ""
    load = f"the declared load {profile.load}" if profile.load else "its own detections"
    memory = f"; {profile.peak_memory_mb:.0f} MB at most" if profile.peak_memory_mb else ""
    energy = f"; {profile.energy_mj:.1f} mJ an image" if profile.energy_mj is not None else ""
    return (
        f"{env.device}{threads}; {profile.runtime}, batch of {profile.batch_size}, "
        f"{profile.weights}, {load}, {profile.images}. A whole call ({profile.scenario}) takes "
        f"{profile.median_ms:.2f} ms, the median of {profile.samples}; stages are timed in rounds "
        f"of their own and need not sum to it{memory}{energy}."
    )


def _how(profile: Profile) -> str:
    return (
        "GMAC, other operations on single values and bytes are counted for one 480×640 image with "
        "100 objects from the definitions, whatever computes them: an implementation that does "
        f"less for the same result shows more GFLOP/s. {profile.bytes_are} FLOP: two for a MAC and "
        "one for each other operation."
    )


def _ceiling(profile: Profile) -> str:
    top = profile.ceiling
    return (
        f"Ceiling, measured just now: {top.gflops:.0f} GFLOP/s by {top.gflops_by}, "
        f"{top.gigabytes_per_second:.0f} GB/s by a copy; the lower of the first and of FLOP/byte "
        "times the second."
    )
