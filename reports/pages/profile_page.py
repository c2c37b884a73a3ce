"""The profile of an arm as a page: the table of its stages, a roofline and a bar of its time."""

import json
from pathlib import Path

from reports.pages.markdown import markdown_table
from reports.tables.table import Table
from yolact_bench.results.files import write_atomically
from yolact_bench.results.profile import Profile, StageProfile
from yolact_bench.results.serialise import to_plain
from yolact_bench.results.text import NOT_AVAILABLE


def table(profile: Profile) -> Table:
    """Return one row for every stage, and their sum."""
    rows = [_row(stage, profile) for stage in profile.stages]
    total = (
        "all",
        f"{profile.parameters / 1e6:.2f}",
        f"{profile.macs / 1e9:.3g}",
        f"{sum(stage.operations for stage in profile.stages) / 1e9:.3g}",
        f"{sum(stage.moved_bytes for stage in profile.stages) / 1e6:.0f}",
        f"{profile.stages_ms:.2f}",
        *[""] * 4,
    )
    return Table(
        title=f"{profile.arm}: where the milliseconds go",
        columns=(
            *("stage", "params, M", "GMAC", "other Gop", "MB moved", "ms", "share", "GFLOP/s"),
            *("FLOP/byte", "of ceiling"),
        ),
        rows=(*rows, total),
        drops=(0, 5, 3, 7, 6, 0, 1, 2, 8, 4),
        notes=(_what(profile), _how(profile), _ceiling(profile)),
    )


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
        f"# {profile.arm}: profile\n\n{markdown_table(table(profile))}\n\n"
        "![Time by stage](stages.png)\n\n![Roofline](roofline.png)\n"
    )
    write_atomically(page, text)
    return page


def _row(stage: StageProfile, profile: Profile) -> tuple[str, ...]:
    intensity, gflops = stage.intensity, stage.gflops
    reached = None
    if intensity is not None and gflops is not None:
        reached = gflops / profile.ceiling.at(intensity)
    return (
        stage.stage,
        f"{stage.parameters / 1e6:.2f}",
        f"{stage.macs / 1e9:.3g}",
        f"{stage.operations / 1e9:.3g}",
        f"{stage.moved_bytes / 1e6:.0f}",
        _number(stage.ms, ".2f"),
        _number(stage.ms and stage.ms / profile.stages_ms, ".1%"),
        _number(gflops, ".3g"),
        _number(intensity, ".1f"),
        _number(reached, ".0%"),
    )


def _number(value: float | None, form: str) -> str:
    return NOT_AVAILABLE if value is None else format(value, form)


def _what(profile: Profile) -> str:
    env = profile.environment
    threads = (
        f", {env.threads} thread{'s' if env.threads != 1 else ''}"
        if env.device_type == "cpu"
        else ""
    )
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
