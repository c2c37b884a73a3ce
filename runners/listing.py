"""What `yolact-bench list` prints. Only `components` loads torch."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy, Failure, Latency
from yolact_bench.results.store import Store
from yolact_bench.slots import hint, options_of
from yolact_bench.spec.presets import PRESETS


def lines(what: str, *, slot: str | None, work_dir: Path, folder: Path) -> Iterator[str]:
    """Return the lines of a listing.

    Raises:
        SpecError: an unknown kind of thing, or slot.
    """
    kinds: Mapping[str, Callable[[], Iterator[str]]] = {
        "components": lambda: _components(slot),
        "presets": _presets,
        "ablations": lambda: _ablations(folder),
        "runs": lambda: _runs(work_dir),
    }
    if what not in kinds:
        raise SpecError(f"list: nothing is called {what!r}{hint(what, kinds)}")
    return kinds[what]()


def _components(slot: str | None) -> Iterator[str]:
    from yolact_bench.catalog import OWN, components

    if slot is not None and slot not in OWN:
        raise SpecError(f"list components: no slot is named {slot!r}{hint(slot, OWN)}")
    for name in [slot] if slot else OWN:
        yield f"{name}:"
        for entry, component in components(name).items():
            first_line = (component.__doc__ or "").strip().splitlines()[0]
            yield f"  {entry:<20} {first_line}"
            for option, parameter in options_of(component).items():
                given = parameter.default
                default = "required" if given is parameter.empty else f"default {given!r}"
                yield f"      {option}: {default}"


def _presets() -> Iterator[str]:
    for name, run in PRESETS.items():
        parts = [
            str(run.backbone["name"]),
            f"{run.image_size} px",
            f"{len(run.classes)} classes",
            f"anchors {run.anchors['name']}",
            f"dcn {run.dcn['name']}",
            f"rescore {run.rescore['name']}",
        ]
        yield f"{name:<20} {', '.join(parts)}"


def _ablations(folder: Path) -> Iterator[str]:
    from yolact_bench.spec.ablation import load

    if not folder.is_dir():
        raise SpecError(f"list ablations: there is no folder {folder}; give one with --folder")
    for file in sorted(folder.glob("*.yaml")):
        ablation = load(file)
        about = f"{len(ablation.arms)} arms, seeds {list(ablation.seeds)}"
        yield f"{file}  {about}: {ablation.question}"


def _runs(work_dir: Path) -> Iterator[str]:
    for record in Store(work_dir / "results.jsonl").records():
        who = f"{record.time}  {record.ablation or '-':<16} {record.arm:<20} seed {record.seed}"
        if isinstance(record, Accuracy):
            ap = [
                f"{100 * x:.1f}" if x is not None else "–" for x in (record.mask.ap, record.box.ap)
            ]
            yield f"{who}  mask AP {ap[0]}, box AP {ap[1]}  {record.detect_digest}"
        elif isinstance(record, Latency):
            n = len(record.samples_ms)
            yield f"{who}  {record.median_ms:.2f} ms, n {n}, {record.environment.device}"
        elif isinstance(record, Failure):
            yield f"{who}  FAILED in {record.phase}: {record.message}"
