"""The run that a spec starts from: a preset or another file, the data set, `set` and `--set`.

Mistakes are SpecErrors with file, line and key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from yolact_bench.dataset_spec.dataset import dataset_choice
from yolact_bench.errors import Faults, SpecError, hint
from yolact_bench.spec.options_to_keep import COMPONENT, DEFAULTS, is_choice, keep_options
from yolact_bench.spec.presets import PRESETS, preset
from yolact_bench.spec.run import Run, read_values
from yolact_bench.yaml_source import Source, read
from yolact_bench.yaml_text import KeyPath

# In the place of a base that cannot be read, so that what changes it can be: never a result.
_STAND_IN = PRESETS["yolact_tiny"]


def read_run(name: str, *, relative_to: Path) -> Run:
    """Return a preset, or the run of another YAML file: its `base` and what it sets.

    Raises:
        SpecError: there is neither, or all that is wrong with the file.
    """
    faults = Faults()
    run = read_run_as_far(name, faults, relative_to=relative_to)
    faults.raise_any()
    return run


def read_run_as_far(name: str, faults: Faults, *, relative_to: Path) -> Run:
    """Return the same without what is wrong with it, which is in `faults`."""
    run = _STAND_IN
    with faults.part():
        if not name.endswith((".yaml", ".yml")):
            return preset(name)
        source = read(relative_to / name)
        if "backbone" not in source.data:
            keys = ("base", "set", "dataset")
            return base_run(source.check_all_keys(keys, faults, required=("base",)), faults)
        wrong = Faults()
        run = replace(run, **read_values(source.data, wrong))
        try:
            wrong.raise_any()
        except SpecError as error:
            raise error.at(source.file) from error
    return run


def base_run(source: Source, faults: Faults) -> Run:
    """Return the run of a spec's `base`, `dataset` and `set`; `faults` has what is wrong."""
    run = _STAND_IN
    with faults.part():
        run = _base(source)
    if "dataset" in source.data:
        run = apply_changes(source, (), run, {"dataset": source.data["dataset"]}, faults)
    changes: Mapping[str, object] = {}
    with faults.part():
        changes = source.mapping(("set",))
    return apply_changes(source, ("set",), run, changes, faults)


def _base(source: Source) -> Run:
    if "base" not in source.data:
        raise source.error(("base",), f"missing: a preset{hint('', PRESETS)}; or a .yaml file")
    name = source.name_at("base", "")
    try:
        return read_run(name, relative_to=source.folder)
    except SpecError as error:
        raise source.at(("base",), error) from error


def apply_changes(
    source: Source,
    path: KeyPath,
    run: Run,
    changes: Mapping[str, object],
    faults: Faults,
    *,
    keep_of: Sequence[Run] = (),
) -> Run:
    """Return the run with the changes that a spec has under `path`; `keep_of` is as in `change`.

    Those that cannot be made are left out, and in `faults` with their places.
    """
    made, wrong = _apply(run, changes, relative_to=source.folder, keep_of=keep_of)
    for key, error in wrong.items():
        faults.add(source.at((*path, key), error))
    return made


def apply_settings(run: Run, settings: Mapping[str, object], faults: Faults | None = None) -> Run:
    """Return the run with the settings of a command line: slot or slot.option → value.

    Components that they swap keep the options of the run.

    Raises:
        SpecError: naming the settings that cannot be made, unless they are to go into `faults`.
    """
    made, wrong = _apply(run, settings, relative_to=Path(), keep_of=(run,))
    errors = Faults() if faults is None else faults
    for key, error in wrong.items():
        errors.add(error.at(f"--set {key}"))
    if faults is None:
        errors.raise_any()
    return made


def _apply(
    run: Run, changes: Mapping[str, object], *, relative_to: Path, keep_of: Sequence[Run]
) -> tuple[Run, dict[str, SpecError]]:
    """Return the run with the changes that can be made, and what is wrong with the others.

    Options of a choice that cannot be made are left out with it.
    """
    wrong: dict[str, SpecError] = {}
    for key, value in slots_first(changes):
        slot = key.partition(".")[0]
        if slot in wrong and hasattr(run, slot):
            continue
        try:
            run = change(run, key, value, relative_to=relative_to, keep_of=keep_of)
        except SpecError as error:
            wrong[key] = error
    return run, wrong


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
