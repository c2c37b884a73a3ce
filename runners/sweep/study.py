"""Optuna, and nothing else of it elsewhere: what to try next, and what has been tried."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import optuna
import sqlalchemy.exc
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from runners.sweep.samplers import pruner_of, sampler_of
from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.space import Components, Domain, Params, Space, Value, Values, active
from yolact_bench.spec.sweep.sweep import SweepSpec

log = logging.getLogger(__name__)

_IDENTITY = "yolact_bench"
_PATIENCE = 60.0  # seconds for another process to let go of an sqlite file
_ENOUGH = 8  # finished trials for an importance
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A trial as the study has it."""

    number: int
    state: str  # complete, pruned, failed, running or waiting
    params: Params
    values: tuple[float, ...]  # of the objectives, in their order; empty unless it is complete
    curve: Mapping[int, float]  # what was reported, by iteration
    facts: Mapping[str, object]  # what the coordinator has noted
    seconds: float | None


class Study:
    """One study in a storage; asked by one coordinator, and told."""

    def __init__(self, spec: SweepSpec, storage: str) -> None:
        """Open the study of a spec, or begin it.

        Raises:
            SpecError: a storage that cannot be used, or a study of that name with other choices.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._space = spec.space
        self._url = storage
        self._study = _opened(spec, storage)
        # From the same seed a study that goes on would ask the same once more.
        seed = spec.sampler_seed + len(self._study.get_trials(deepcopy=False))
        self._study.sampler = sampler_of(spec, seed)
        self._study.pruner = pruner_of(spec)
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, facts: Mapping[str, object], *, at_random: bool = False) -> Tried:
        """Return what to try next, as a running trial with these facts.

        A sampler that has learnt may come back to its favourite again and again; `at_random`
        leaves it out for once.
        """
        usual = self._study.sampler
        if at_random:
            seed = len(self._study.get_trials(deepcopy=False))
            self._study.sampler = optuna.samplers.RandomSampler(seed=seed)
        try:
            trial = self._study.ask()
            for key, value in facts.items():
                trial.set_user_attr(key, value)
            suggest(trial, self._space)
        finally:
            self._study.sampler = usual
        self._asked[trial.number] = trial
        return self.tried(trial.number)

    def tell(self, number: int, values: Sequence[float]) -> None:
        """Say what a trial has reached."""
        self._study.tell(number, list(values))
        self._asked.pop(number, None)

    def prune(self, number: int) -> None:
        """Say that a trial was stopped, or never begun, as it is not worth it."""
        self._study.tell(number, state=TrialState.PRUNED)
        self._asked.pop(number, None)

    def fail(self, number: int) -> None:
        """Say that a trial has nothing to tell."""
        self._study.tell(number, state=TrialState.FAIL)
        self._asked.pop(number, None)

    def note(self, number: int, **facts: object) -> None:
        """Keep facts of a trial that is running."""
        trial = self._asked.get(number) or self._left_running(number)
        for key, value in facts.items():
            trial.set_user_attr(key, value)

    def report(self, number: int, iteration: int, value: float) -> bool:
        """Keep what a trial has reached by an iteration; return whether to stop it."""
        trial = self._asked[number]
        trial.report(value, iteration)
        return trial.should_prune()

    def enqueue(self, params: Params, facts: Mapping[str, object]) -> None:
        """Have a set of parameters asked for next."""
        self._study.enqueue_trial(dict(params), user_attrs=dict(facts))

    def add(self, params: Params, values: Sequence[float], facts: Mapping[str, object]) -> None:
        """Add a finished trial that this study did not ask for."""
        self._study.add_trial(
            optuna.trial.create_trial(
                params=dict(params),
                distributions={
                    name: _distribution(domain) for name, domain in active(self._space, params)
                },
                values=list(values),
                user_attrs=dict(facts),
            )
        )

    def _left_running(self, number: int) -> optuna.Trial:
        """Return a trial of an earlier coordinator, so that facts of it can be kept."""
        storage = _storage(self._url)
        study = storage.get_study_id_from_name(self._study.study_name)
        trial = storage.get_trial_id_from_study_id_trial_number(study, number)
        return optuna.Trial(self._study, trial)

    def keep(self, key: str, value: object) -> None:
        """Keep a fact of the whole study."""
        self._study.set_user_attr(key, value)

    def kept(self, key: str) -> object:
        """Return a fact of the whole study, or None."""
        return self._study.user_attrs.get(key)

    def trials(self) -> list[Tried]:
        """Return all trials, in order."""
        return [_tried(trial) for trial in self._study.get_trials(deepcopy=False)]

    def tried(self, number: int) -> Tried:
        """Return one trial as it stands."""
        return _tried(self._study.get_trials(deepcopy=False)[number])

    def best(self) -> list[int]:
        """Return the number of the best trial, or those of the front, best first."""
        done = [t for t in self._study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]
        if not done:
            return []
        first = -1 if self._study.directions[0] is optuna.study.StudyDirection.MAXIMIZE else 1
        front = self._study.best_trials if len(self._study.directions) > 1 else done
        ranked = sorted(front, key=lambda t: (first * t.values[0], t.number))
        return [t.number for t in (ranked if len(self._study.directions) > 1 else ranked[:1])]

    def importance(self, objective: int) -> Mapping[str, float]:
        """Return each parameter's share in what makes trials good; empty where that is not known.

        Source: PED-ANOVA (arXiv:2304.10255), as Optuna has it.
        """
        done = [t for t in self._study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]
        if len(done) < _ENOUGH or len({t.values[objective] for t in done}) == 1:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(evaluate_on_local=False)
        maximised = self._study.directions[objective] is optuna.study.StudyDirection.MAXIMIZE
        sign = -1.0 if maximised else 1.0  # with a target of one's own, low is good
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = optuna.importance.get_param_importances(
                    self._study,
                    evaluator=evaluator,
                    target=lambda trial: sign * trial.values[objective],
                )
        except (RuntimeError, ValueError) as error:
            log.info("no importance of parameters: %s", error)
            return {}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def suggest(trial: optuna.Trial, space: Space) -> None:
    """Draw the parameters of a trial, those of a component only where it is chosen."""
    for path, entry in space.items():
        if not isinstance(entry, Components):
            _suggest(trial, path, entry)
            continue
        component = str(_suggest(trial, path, Values(values=tuple(entry.options))))
        for name, domain in entry.options[component].items():
            _suggest(trial, f"{path}.{component}.{name}", domain)


def _suggest(trial: optuna.Trial, name: str, domain: Domain) -> Value:
    value: Value
    if isinstance(domain, Values):
        value = trial.suggest_categorical(name, domain.stored)
    elif domain.whole:
        low, high, step = int(domain.low), int(domain.high), int(domain.step or 1)
        value = trial.suggest_int(name, low, high, log=domain.log, step=step)
    else:
        low_high = domain.low, domain.high
        value = trial.suggest_float(name, *low_high, log=domain.log, step=domain.step)
    return value


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Values):
        return CategoricalDistribution(domain.stored)
    if domain.whole:
        step = int(domain.step or 1)
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log, step=step)
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def _opened(spec: SweepSpec, storage: str) -> optuna.Study:
    better = optuna.study.StudyDirection
    directions = [better.MAXIMIZE if one.maximise else better.MINIMIZE for one in spec.objectives]
    try:
        study = _patiently(
            lambda: optuna.create_study(
                study_name=spec.name,
                storage=_storage(storage),
                directions=directions,
                load_if_exists=True,
            )
        )
    except ImportError as error:
        raise SpecError(f"--storage: its driver is not installed: {error}") from error
    except Exception as error:
        kind = type(error).__name__
        raise SpecError(
            f"--storage: the study {spec.name} cannot be opened ({kind}); is it a database "
            "URL such as postgresql+psycopg2://user@host/name that answers?"
        ) from error
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_metric_names([one.metric for one in spec.objectives])  # for optuna-dashboard
        study.set_user_attr(_IDENTITY, spec.identity)
        return study
    changed = [
        key for key in {**known, **spec.identity} if known.get(key) != spec.identity.get(key)
    ]
    if changed:
        was, now = known.get(changed[0], "nothing"), spec.identity.get(changed[0], "nothing")
        raise spec.source.error(
            ("name",),
            f"the study {spec.name} was begun with another {changed[0]} (then {was}, now {now}); "
            "its trials would not compare: write another name, or undo the change",
        )
    return study


def _patiently(open_it: Callable[[], optuna.Study]) -> optuna.Study:
    """Two coordinators that come at once both want to make the tables; one of them fails."""
    for pause in (1.0, 2.0):
        try:
            return open_it()
        except sqlalchemy.exc.SQLAlchemyError:
            time.sleep(pause)
    return open_it()


def _storage(url: str) -> optuna.storages.RDBStorage:
    """Return the storage; a reader such as optuna-dashboard may hold an sqlite file for a while."""
    patience = {"connect_args": {"timeout": _PATIENCE}} if url.startswith("sqlite") else {}
    return optuna.storages.RDBStorage(url, engine_kwargs=patience)


def _tried(trial: FrozenTrial) -> Tried:
    seconds = None
    if trial.datetime_start and trial.datetime_complete:
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
    return Tried(
        number=trial.number,
        state=_STATES[trial.state],
        params=trial.params or trial.system_attrs.get("fixed_params", {}),
        values=tuple(trial.values) if trial.state is TrialState.COMPLETE else (),
        curve=dict(sorted(trial.intermediate_values.items())),
        facts=dict(trial.user_attrs),
        seconds=seconds,
    )
