"""The run that a spec starts from: a preset or another file, the data set, `set` and `--set`.

Mistakes are SpecErrors with file, line and key.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from yolact_bench.dataset_spec.dataset import dataset_choice
from yolact_bench.errors import SpecError, hint
from yolact_bench.spec.options_to_keep import COMPONENT, DEFAULTS, is_choice, keep_options
from yolact_bench.spec.presets import PRESETS, preset
from yolact_bench.spec.run import Run
from yolact_bench.yaml_source import Source, read
from yolact_bench.yaml_text import KeyPath


def read_run(name: str, *, relative_to: Path) -> Run:
    """Return a preset, or the run of another YAML file: its `base` and what it sets.

    Raises:
        SpecError: there is neither.
    """
    if not name.endswith((".yaml", ".yml")):
        return preset(name)
    source = read(relative_to / name)
    if "backbone" in source.data:
        try:
            return Run.from_dict(source.data)
        except SpecError as error:
            raise SpecError(f"{source.file}: {error}") from error
    source.check_keys((), source.data, ("base", "set", "dataset"))
    return base_run(source)


def base_run(source: Source) -> Run:
    """Return the run of a spec's `base`, `dataset` and `set`."""
    if "base" not in source.data:
        raise source.error(("base",), f"missing: a preset{hint('', PRESETS)}; or a .yaml file")
    try:
        run = read_run(source.name_at("base", ""), relative_to=source.folder)
    except SpecError as error:
        raise source.error(("base",), str(error)) from error
    if "dataset" in source.data:
        run = apply_changes(source, (), run, {"dataset": source.data["dataset"]})
    return apply_changes(source, ("set",), run, source.mapping(("set",)))


def apply_changes(
    source: Source,
    path: KeyPath,
    run: Run,
    changes: Mapping[str, object],
    *,
    keep_of: Sequence[Run] = (),
) -> Run:
    """Return the run with the changes that a spec has under `path`; `keep_of` is as in `change`."""
    for key, value in slots_first(changes):
        try:
            run = change(run, key, value, relative_to=source.folder, keep_of=keep_of)
        except SpecError as error:
            raise source.error((*path, key), str(error)) from error
    return run


def apply_settings(run: Run, settings: Mapping[str, object]) -> Run:
    """Return the run with the settings of a command line: slot or slot.option → value.

    Components that they swap keep the options of the run.

    Raises:
        SpecError: naming the setting.
    """
    before = run
    for key, value in slots_first(settings):
        try:
            run = change(run, key, value, relative_to=Path(), keep_of=(before,))
        except SpecError as error:
            raise SpecError(f"--set {key}: {error}") from error
    return run


def slots_first(changes: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the changes in the order in which they are made: no choice undoes an option."""
    return sorted(changes.items(), key=lambda one: "." in one[0])


def change(
    run: Run, path: str, value: object, *, relative_to: Path, keep_of: Sequence[Run] = ()
) -> Run:
    """Return the run with one slot or option changed as a user writes it.

    A data set may be named, or given as the path of a dataset.yaml from `relative_to`. The choice
    of another slot keeps the options of the runs `keep_of`, as by `keep_options`.

    Raises:
        SpecError: an unknown slot, option or data set, or an option that cannot be kept.
    """
    if path == "dataset":
        value = dataset_choice(value, relative_to=relative_to)
    slot, _, option = path.partition(".")
    if option == DEFAULTS:
        raise SpecError(f"write it in the choice: {slot}: {{name: …, {DEFAULTS}: {COMPONENT}}}")
    run = run.changed({path: value})
    if not is_choice(path):
        return run
    places = [getattr(one, path) for one in keep_of]
    return run.changed({path: keep_options(path, getattr(run, path), places)})


def dataset_name(run: Run) -> str:
    """Return the display name of the run's data set."""
    return Path(str(run.dataset.get("file", run.dataset["name"]))).stem
