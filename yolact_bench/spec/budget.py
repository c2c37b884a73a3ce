"""Budgets: runs that stand in for a full one, in seconds or in a tenth of the time.

A budget is a function of the runs alone, so its results have digests of their own: a proxy is
never mistaken for the real one, nor vice versa.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from yolact_bench.dataset_spec.dataset import DATASET_SPECS
from yolact_bench.errors import SpecError, hint
from yolact_bench.ranges import SMALLEST_IMAGE
from yolact_bench.slots import Choice, defaults_of, fact, find_component, options_by_fact
from yolact_bench.spec.budget_names import BUDGETS, FULL, Budget
from yolact_bench.spec.run import Run

SHORT_FACTOR = 10
_SMOKE_SCHEDULE = {"iterations": 2, "batch_size": 2}
_SMOKE_RESCORE_LAYERS = 3  # stride-2 layers without padding that 18 × 18 prototypes admit


def find_budget(name: str) -> Budget:
    """Return the budget of that name.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in BUDGETS:
        raise SpecError(f"--budget {name}: there is no such budget{hint(name, BUDGETS)}")
    return BUDGETS[name]


def apply_budget(run: Run, budget: str, *, sides: Mapping[int, int]) -> Run:
    """Return the run that stands in for `run` under a budget; `sides` are from `smoke_sides`.

    Raises:
        SpecError: a schedule or anchor set that does not state which of its options are lengths
            or pixels.
    """
    if BUDGETS[budget].rehearsal:
        return _smoke(run, sides[run.image_size])
    if budget == FULL:
        return run
    # Batch size and rates stay as they are.
    shorter = _changed("schedule", run.schedule, _divide, "lengths", "warm_ups")
    return replace(run, schedule=shorter)


def smoke_sides(sizes: Iterable[int]) -> dict[int, int]:
    """Return image size → its size in a smoke run, for all sizes of an ablation.

    All are divided by one factor, which makes the smallest `SMALLEST_IMAGE`; where rounding would
    make two equal, the larger one stays larger.
    """
    ordered = sorted(set(sizes))
    factor = max(1.0, ordered[0] / SMALLEST_IMAGE)
    sides: dict[int, int] = {}
    for size in ordered:
        sides[size] = max([round(size / factor), *(side + 1 for side in sides.values())])
    return sides


def _smoke(run: Run, side: int) -> Run:
    schedule = _changed("schedule", run.schedule, _fewest, "lengths", "warm_ups")
    shrink = partial(_times, side / run.image_size)
    dataset, evaluation = _few_images(run.dataset), run.evaluation
    if dataset["name"] != run.dataset["name"]:  # it has other classes
        evaluation = replace(evaluation, classes=())
    return replace(
        run,
        image_size=side,
        # Anchors are in pixels of the input: they shrink with it.
        anchors=_changed("anchors", run.anchors, shrink, "pixels"),
        rescore_net=_fitting(run.rescore_net),
        dataset=dataset,
        evaluation=evaluation,
        schedule={**schedule, **_SMOKE_SCHEDULE},
        # Nothing is downloaded. Two iterations are too few for the statistics of random weights,
        # which must not be frozen, nor may a hundred layers multiply their error.
        init={"name": "zero_gamma"},
        batch_norm={"name": "train"},
        precision=_for_cpu(run.precision),
        runtime=_runtime_for_cpu(run.runtime),
    )


def _few_images(dataset: Choice) -> Choice:
    """Return few images of a set that can be drawn: of this one, or the first of the table."""
    few = fact(find_component(DATASET_SPECS, dataset), "fewest_images")
    if few is not None:
        return {**dataset, **few}
    names = (name for name, spec in DATASET_SPECS.items() if fact(spec, "fewest_images"))
    return _few_images({"name": next(names)})


def _changed(
    slot: str, choice: Choice, change: Callable[[object], object], *facts: str
) -> dict[str, object]:
    """Return the choice with the options changed that these facts of its component name.

    What the choice leaves out is the component's default. A choice without a component stays as
    it is, as resolving it reports the mistake; likewise one without a required option.
    """
    component = _component(slot, choice)
    if component is None:
        return dict(choice)
    values = {**defaults_of(component), **choice}
    options = [option for name in facts for option in options_by_fact(slot, component, name)]
    return {**choice, **{key: change(values[key]) for key in options if key in values}}


def _component(slot: str, choice: Choice) -> Callable[..., object] | None:
    # Components need torch, which a spec without a budget is read without.
    from yolact_bench.catalog import components

    return find_component(components(slot), choice)


def _times(factor: float, value: object) -> object:
    """Return a number, or a nested list of numbers, multiplied."""
    if isinstance(value, list | tuple):
        return [_times(factor, item) for item in value]
    # Other values stay as they are: building the network reports the mistake.
    return round(value * factor, 3) if isinstance(value, int | float) else value


def _divide(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_divide(item) for item in value]
    return max(min(1, value), value // SHORT_FACTOR) if isinstance(value, int) else value


def _fewest(value: object) -> object:
    return [] if isinstance(value, list | tuple) else 1


def _fitting(rescore_net: Choice) -> Choice:
    component = _component("rescore_net", rescore_net)
    option = fact(component, "halvings")
    if component is None or option is None:
        return rescore_net
    layers = {**defaults_of(component), **rescore_net}[option]
    if not isinstance(layers, list | tuple):
        return rescore_net
    return {**rescore_net, option: [*layers[:_SMOKE_RESCORE_LAYERS]]}


def _for_cpu(precision: str) -> str:
    return "fp32" if precision == "fp16" else precision


def _runtime_for_cpu(runtime: Choice) -> Choice:
    name = fact(_component("runtime", runtime), "on_cpu") or runtime["name"]
    precise = {"precision": _for_cpu(str(runtime["precision"]))} if "precision" in runtime else {}
    return {**runtime, "name": name, **precise}
