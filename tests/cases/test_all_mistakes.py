"""All mistakes of a spec or file are in one message: at most 20 by name, the rest counted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from runners.arms.external.reported_latency import read_reported_latency
from runners.cli.spec_commands import CheckCommand
from runners.cli.specs import check
from runners.planning.choices import check_space_choices
from runners.planning.user_rates import parse_rates
from runners.system.exit_codes import exit_code_of
from runners.units.check import resolve_unit
from runners.units.workplace import Workplace
from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.errors import MOST_MISTAKES, SpecError, hint
from yolact_bench.spec.presets import preset
from yolact_bench.spec.sweep.sweep import load_sweep

SPEC = """\
# Which?
schema: 1
base: yolact_tiny
set: {protonet.k: 16, image_size: 192}
baseline: a
changes: [nms, fpn.channels]
seeds: [0, 1]
measure: [accuracy]
latency: {rel_ci: 0.1, max_s: 9}
budgets: {short: {schedule.lr: 1e-3}}
expect: ["mask_ap[b] > 0.1"]
external:
  other: {segm: results.json}
arms:
  a: {}
  b: {nms: sequential}
  c: {fpn.channels: 128}
"""
# What is written → what is written instead, and the message from the key on.
MISTAKES = (
    ("schema: 1", "schema: 2", "schema: expected schema: 1, got 2"),
    ("# Which?", "# Which?\nsede: 3", "sede: unknown key"),
    ("image_size: 192", "image_size: wide", "set.image_size: expected a whole number"),
    ("16, image", "16, imag: 3, image", "set.imag: no slot is named 'imag'"),
    ("k: 16", "k: 0", "arms.a: protonet.fcn.k: expected a whole number from 1"),
    ("{protonet.k", "{protonet.j: 1, protonet.k", "arms.a: protonet.fcn: no option is named 'j'"),
    ("baseline: a", "baseline: z", "baseline: no arm is named 'z'"),
    ("[nms, fpn", "[nms, foo, fpn", "changes: foo is declared, but no arm differs"),
    ("seeds: [0, 1]", "seeds: [0, -1]", "seeds: expected a list of"),
    ("[accuracy]", "[speed]", "measure: unknown 'speed'"),
    ("rel_ci: 0.1", "rel_ci: 2", "latency.rel_ci: expected a number"),
    ("max_s: 9", "max_s: 9, lod: own", "latency.lod: unknown key"),
    ("budgets: {short", "budgets: {sort: {}, short", "budgets.sort: unknown key"),
    ("lr: 1e-3}", "lr: 1e-3, augmnt: none}", "budgets.short.augmnt: no slot is named"),
    ("mask_ap[b] > 0.1", "mask_ap[q] > 0.1", "expect: 'mask_ap[q] > 0.1': "),
    ("segm: results.json", "segm: results.json, bax: 3", "external.other.bax: unknown key"),
    ("{segm: results.json", '{segm: "{sed}.json"', "external.other.segm: no placeholder is named"),
    ("external:", "external:\n  more: {command: 3}", "external.more.command: expected a text"),
    ("nms: sequential", "nms: sequental", "arms.b: nms: no component is named 'sequental'"),
    ("channels: 128", "channels: -1", "arms.c: fpn.yolact.channels: expected a whole number"),
    ("  a: {}", "  a: {}\n  d: 3", "arms.d: expected a mapping"),
    ("  a: {}", "  a: {}\n  e: {nsm: fast}", "arms.e.nsm: no slot is named 'nsm'"),
    ("  a: {}", "  a: {}\n  f: {nms: [fast]}", "arms.f.nms: expected a name or a mapping"),
    ("  a: {}", "  a: {}\n  '..': {nms: matrix}", "arms.'..': '..' cannot be a name"),
    ("  a: {}", "  a: {}\n  g: {nms: {name: soft, sigm: 1}}", "arms.g: nms.soft: no option is"),
)


def mistakes_of(read: Callable[[], object]) -> Sequence[str]:
    """All mistakes of a message, those included that are only counted."""
    with pytest.raises(SpecError) as caught:
        read()
    assert all(str(part).count("\n") == 0 for part in caught.value.parts)
    return [str(part) for part in caught.value.parts or (caught.value,)]


def check_specs(*paths: Path) -> Sequence[str]:
    return mistakes_of(lambda: check(CheckCommand(specs=list(paths))))


def write(folder: Path, text: str, name: str = "spec.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_one_mistake_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    """None of them makes another one, and all begin with file and line."""
    assert old in SPEC
    (only,) = check_specs(write(tmp_path, SPEC.replace(old, new, 1)))
    assert message in only
    assert only.startswith(f"{tmp_path}/spec.yaml:")


def test_all_of_them_are_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SPEC
    for old, new, _ in MISTAKES:
        assert old in text
        text = text.replace(old, new, 1)
    path = write(tmp_path, text)
    texts = check_specs(path)
    assert len(MISTAKES) == len(texts) == 25
    for _, _, message in MISTAKES:
        assert sum(message in one for one in texts) == 1, message
    with pytest.raises(SpecError) as caught:
        check(CheckCommand(specs=[path]))
    head, *lines, last = str(caught.value).splitlines()
    assert (head, last) == ("25 mistakes", "  and 5 more")
    assert lines == [f"  {one}" for one in texts[:MOST_MISTAKES]]
    places = [int(line.split(":")[1]) for line in texts if line.split(":")[1].isdigit()]
    assert places == sorted(places)
    assert exit_code_of(caught.value) == 2
    assert capsys.readouterr().err.count("\n") == 22
    assert [file.name for file in tmp_path.iterdir()] == ["spec.yaml"]


def test_several_specs_are_checked_to_the_end(tmp_path: Path) -> None:
    """In the order in which they are given, whatever their lines."""
    first = write(tmp_path, SPEC.replace("channels: 128", "channels: 0"), "one.yaml")
    second = write(tmp_path, SPEC.replace("schema: 1", "schema: 3"), "two.yaml")
    texts = check_specs(first, second)
    assert [Path(text.partition(":")[0]).name for text in texts] == ["one.yaml", "two.yaml"]


def test_a_mistake_of_the_base_is_named_once_and_what_arms_repeat_themselves_again(
    tmp_path: Path,
) -> None:
    arms = "  d: {nms: fst}\n  e: {nms.top_k: 5}\n"
    text = SPEC.replace("{protonet.k: 16", "{nms: fst, protonet.k: 16") + arms
    texts = check_specs(write(tmp_path, text.replace("a: {}", "a: {nms: fst}")))
    assert [one.split(": ")[1] for one in texts] == ["arms.a", "arms.d"]


def test_a_misspelt_key_is_not_missing_as_well(tmp_path: Path) -> None:
    for key in ("base", "baseline", "changes", "arms", "schema"):
        text = SPEC.replace(f"\n{key}:", f"\n{key[:-1]}:")
        (only,) = check_specs(write(tmp_path, text))
        assert f": {key[:-1]}: unknown key (did you mean" in only


def test_all_of_a_sweep(tmp_path: Path) -> None:
    text = """\
schema: 1
base: yolact_tiny
set: {protonet.k: many}
objectives: {mask_app: maximise, box_ap: best}
sampler: {name: tp, seed: -1}
pruner: {name: medin, n_startup_trials: x}
trials: 0
validate_every: -1
space:
  nms.top_k: {low: 3, high: 2}
  seed: [0, 1]
  fpn.channels: []
  schedule.lr: {low: 0, hgh: 1}
  matcher.foo: [1, 2]
"""
    path = write(tmp_path, text)
    texts = mistakes_of(lambda: load_sweep(path, check=check_space_choices))
    keys = [one.split(": ")[1] for one in texts]
    assert keys == [
        *("base", "objectives.mask_app", "objectives.box_ap", "sampler.name", "sampler.seed"),
        *("pruner", "pruner.n_startup_trials", "trials", "validate_every", "space.nms.top_k"),
        *("space.seed", "space.fpn.channels", "space.schedule.lr.hgh", "space.matcher.foo"),
    ]


def test_all_of_a_dataset_file(tmp_path: Path) -> None:
    text = "nam: x\nroot: 3\ntrain: {images: 3, annotation: a}\nval: 7\nclasses: [a, a]\n"
    path = write(tmp_path, text)
    texts = mistakes_of(lambda: read_dataset_file(path))
    keys = ["nam", "root", "train.annotation", "train.images", "val", "classes"]
    assert [one.split(": ")[1] for one in texts] == keys


def test_all_of_rates_and_of_reported_times(tmp_path: Path) -> None:
    path = write(tmp_path, "every: -1\nevry: 1\npresets: {yolact_x: 2, yolact_r50: x}\n")
    texts = mistakes_of(lambda: parse_rates([], file=path))
    assert len(texts) == 4
    times = write(tmp_path, '{"schema": 2, "device": 3, "batch_size": 4, "software": []}', "t.json")
    texts = mistakes_of(lambda: read_reported_latency(times))
    keys = ("device", "precision", "scenario", "batch_size", "software", "give either")
    assert [one.removeprefix(f"{times}: ").partition(":")[0] for one in texts[:5]] == [*keys[:5]]
    assert keys[5] in texts[5]


def test_all_of_a_run_and_of_the_settings_beside_it(tmp_path: Path) -> None:
    content = preset("yolact_tiny").as_dict() | {
        "image_size": -1,
        "seed": "x",
        "nms": {"name": "f"},
    }
    path = write(tmp_path, yaml.safe_dump(content), "run.yaml")
    settings = ["schedule.lr", "fpn.chanels=3", "bckbone=x", "precision=3"]
    place = Workplace(work_dir=tmp_path / "work", device="cpu", workers=0)
    texts = mistakes_of(lambda: resolve_unit(str(path), None, settings, place, None, split="val"))
    of_settings = ("--set schedule.lr: write", "--set bckbone: no slot")
    for part in ("run: image_size", "run: seed", "nms: no component", *of_settings):
        assert sum(part in one for one in texts) == 1, part
    assert not (tmp_path / "work").exists()


def test_a_name_of_any_length_is_short_among_those_that_there_are() -> None:
    text = hint("xx", ["x" * 5000, "fast"])
    assert "fast" in text
    assert len(text) < 400
