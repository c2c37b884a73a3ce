"""What the trials of one study must have in common to be comparable."""

from collections.abc import Mapping

from yolact_bench.spec.options_to_keep import DEFAULTS, is_choice
from yolact_bench.spec.sweep.space import Components, Domain, corners, parameters
from yolact_bench.spec.sweep.sweep import SweepSpec


def identity_of(spec: SweepSpec) -> dict[str, str]:
    """Return it by name, as text."""
    base = {f"base's {slot}": str(one) for slot, one in spec.run.as_dict().items()}
    space = {f"range of {name}": str(one) for name, one in parameters(spec.space).items()}
    fixed = {
        f"{path} of the space": str({name: _of_run(one) for name, one in entry.fixed.items()})
        for path, entry in spec.space.items()
        if isinstance(entry, Components)
    }
    kept = {
        f"kept options of {path}": str(options)
        for path, entry in spec.space.items()
        if is_choice(path) and (options := _values_to_keep(spec, path, entry))
    }
    objective = ", ".join(f"{one.metric} {one.maximise}" for one in spec.objectives)
    latency = str(spec.latency) if spec.needs_times else ""
    words = {"mode": spec.mode, "objective": objective, "latency": latency}
    return {**base, **space, **fixed, **kept, **words}


def _of_run(options: Mapping[str, object]) -> dict[str, object]:
    return {option: value for option, value in options.items() if option != DEFAULTS}


def _values_to_keep(
    spec: SweepSpec, path: str, entry: Domain | Components
) -> dict[str, dict[str, object]]:
    """Return component → the options that it keeps of the base, without those that keep none.

    A study of before components kept any has no such line, so it is not continued with others.
    """
    kept: dict[str, dict[str, object]] = {}
    for _, changes in corners({path: entry}):
        written, choice = changes[path], spec.spelt_out(changes)[path]
        if isinstance(choice, Mapping):
            names = written if isinstance(written, Mapping) else {}
            options = {
                option: value
                for option, value in choice.items()
                if option not in {*names, "name"} and f"{path}.{option}" not in spec.space
            }
            kept |= {str(choice["name"]): options} if options else {}
    return kept
