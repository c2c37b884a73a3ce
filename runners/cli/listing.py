"""What `yolact-bench list` prints. Only `components` loads torch."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap

from runners.workdir.list_runs import run_facts, run_lines
from runners.workdir.list_sweeps import sweep_facts, sweep_lines
from yolact_bench.errors import SpecError, hint
from yolact_bench.evaluation import COCO_OPTIONS, evaluation_text
from yolact_bench.option_values import kind_of
from yolact_bench.slots import options_of, types_of
from yolact_bench.spec.presets import PRESETS

_EVALUATION = "evaluation"
_WIDTH = 100


def lines(
    what: str, *, slot: str | None, work_dir: Path, folder: Path, as_json: bool = False
) -> Iterator[str]:
    """Return the lines of a listing; of runs and sweeps also as one JSON object.

    Raises:
        SpecError: an unknown kind of thing, or slot.
    """
    kinds: Mapping[str, Callable[[], Iterator[str]]] = {
        "components": lambda: _components(slot),
        "presets": _presets,
        "ablations": lambda: _ablations(folder),
        "runs": lambda: run_lines(work_dir),
        "sweeps": lambda: sweep_lines(work_dir),
    }
    if what not in kinds:
        raise SpecError(f"list: nothing is called {what!r}{hint(what, kinds)}")
    if not as_json:
        return kinds[what]()
    facts = {"runs": run_facts, "sweeps": sweep_facts}
    if what not in facts:
        raise SpecError(
            f"list {what}: has no JSON form; --json is for `list runs` and `list sweeps`"
        )
    return iter([json.dumps(facts[what](work_dir))])


def _components(slot: str | None) -> Iterator[str]:
    from yolact_bench.catalog import OWN, components

    known = (*OWN, _EVALUATION)
    if slot is not None and slot not in known:
        raise SpecError(f"list components: no slot is named {slot!r}{hint(slot, known)}")
    if slot in (None, _EVALUATION):
        yield f"{_EVALUATION}: a setting without components"
        for option, value in asdict(COCO_OPTIONS).items():
            text = evaluation_text({option: value}).removeprefix(f"{option} ")
            yield f"      {option}: default {text if value else 'all'}"
    for name in [one for one in OWN if slot in (None, one)]:
        yield f"{name}:"
        for entry, component in components(name).items():
            first_line = (component.__doc__ or "").strip().splitlines()[0]
            yield f"  {entry:<20} {first_line}"
            types = types_of(component)
            for option, parameter in options_of(component).items():
                required = parameter.default is parameter.empty
                default = "required" if required else f"default {parameter.default!r}"
                line = f"{option}: {default}; {kind_of(types[option])}"
                yield from wrap(line, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 10)


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
