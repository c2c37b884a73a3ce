"""The Optuna study of a sweep: the next trial to try, and the trials so far.

One file: all that a sweep asks of Optuna's study.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from runners.sweep import fact
from runners.sweep.open_study import DATA, open_storage, open_study
from runners.sweep.samplers import pruner_of, sampler_of, suggest
from yolact_bench.spec.sweep.identity import identity_of
from yolact_bench.spec.sweep.space import Params, Space, parameters
from yolact_bench.spec.sweep.sweep import SweepSpec

log = logging.getLogger(__name__)

_ENOUGH = 8  # finished trials for an importance


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrial:
    """A trial as the study stores it."""

    number: int
    state: str  # complete, pruned, failed, running or waiting
    params: Params
    values: tuple[float, ...]  # of the objectives, in their order; empty unless it is complete
    curve: Mapping[int, float]  # intermediate values by iteration
    facts: Mapping[str, object]  # stored by the coordinator, by the names above
    seconds: float | None

    @property
    def metrics(self) -> Mapping[str, float]:
        metrics = self.facts.get(fact.METRICS, {})
        assert isinstance(metrics, dict)
        return metrics

    def is_complete(self, space: Space) -> bool:
        """Whether all its parameters were drawn: a kill may come between two of them."""
        try:
            return parameters(space, self.params).keys() <= self.params.keys()
        except KeyError:
            return False


class Study:
    """One study in a storage, as one coordinator uses it."""

    def __init__(
        self, spec: SweepSpec, storage: str, machine: Mapping[str, str], data: str = ""
    ) -> None:
        """Open or create the study of a spec; `machine` is hardware and software, by name.

        `data` identifies the content of training and evaluation data.

        Raises:
            SpecError: a storage that cannot be used, or a study of that name with other choices;
                or, where times decide, on another machine.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._space = spec.space
        self._url = storage
        identity = {**identity_of(spec), **(machine if spec.needs_times else {})}
        identity |= {DATA: data} if data else {}
        self._study = open_study(spec, storage, identity)
        # With the same seed a resumed study would draw the same parameters again.
        seed = spec.sampler_seed + len(self._study.get_trials(deepcopy=False))
        self._study.sampler = sampler_of(spec, seed)
        self._study.pruner = pruner_of(spec)
        self._open: dict[int, optuna.Trial] = {}

    def ask(self, facts: Mapping[str, object], *, at_random: bool = False) -> StudyTrial:
        """Return what to try next, as a running trial with these facts.

        A sampler that has converged may repeat its favourite; `at_random` bypasses it once.
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
        self._open[trial.number] = trial
        return self.trial(trial.number)

    def tell(self, number: int, values: Sequence[float]) -> None:
        self._study.tell(number, list(values))
        self._open.pop(number, None)

    def prune(self, number: int) -> None:
        """Finish a trial that was stopped early or never started."""
        self._study.tell(number, state=TrialState.PRUNED)
        self._open.pop(number, None)

    def fail(self, number: int) -> None:
        self._study.tell(number, state=TrialState.FAIL)
        self._open.pop(number, None)

    def note(self, number: int, facts: Mapping[str, object]) -> None:
        """Store facts with a trial, under the names of `fact`."""
        trial = self._open.get(number)
        if trial is None:  # of an earlier coordinator
            storage = open_storage(self._url)
            study = storage.get_study_id_from_name(self._study.study_name)
            trial_id = storage.get_trial_id_from_study_id_trial_number(study, number)
            trial = optuna.Trial(self._study, trial_id)
        for key, value in facts.items():
            trial.set_user_attr(key, value)

    def report(self, number: int, iteration: int, value: float) -> bool:
        """Store an intermediate value of a trial; return whether to stop it."""
        trial = self._open[number]
        trial.report(value, iteration)
        return trial.should_prune()

    def enqueue(self, params: Params, facts: Mapping[str, object]) -> None:
        """Queue a set of parameters for the next `ask`."""
        self._study.enqueue_trial(dict(params), user_attrs=dict(facts))

    def add(self, params: Params, values: Sequence[float], facts: Mapping[str, object]) -> None:
        """Add a trial that was made elsewhere; without values it failed."""
        trial = optuna.trial.FixedTrial(dict(params))
        suggest(trial, self._space)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=trial.params,
                distributions=trial.distributions,
                state=TrialState.COMPLETE if values else TrialState.FAIL,
                values=list(values) or None,
                user_attrs=dict(facts),
            )
        )

    def set_fact(self, key: str, value: object) -> None:
        self._study.set_user_attr(key, value)

    def fact(self, key: str) -> object:
        return self._study.user_attrs.get(key)

    def trials(self) -> list[StudyTrial]:
        return [_study_trial(trial) for trial in self._study.get_trials(deepcopy=False)]

    def trial(self, number: int) -> StudyTrial:
        return _study_trial(self._study.get_trials(deepcopy=False)[number])

    def best(self) -> list[int]:
        """Return the number of the best trial, or those of the front, best first."""
        several = len(self._study.directions) > 1
        front = self._study.best_trials if several else self._complete_trials()
        sign = self._sign(0)
        ranked = sorted(front, key=lambda t: (sign * t.values[0], t.number))
        return [t.number for t in (ranked if several else ranked[:1])]

    def importance(self, objective: int) -> Mapping[str, float]:
        """Return the importance of each parameter; empty where it cannot be computed.

        Source: PED-ANOVA (arXiv:2304.10255), as Optuna has it.
        """
        done = self._complete_trials()
        if len(done) < _ENOUGH or len({t.values[objective] for t in done}) == 1:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(evaluate_on_local=False)
        sign = self._sign(objective)  # a custom target is minimised
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importance = optuna.importance.get_param_importances(
                    self._study,
                    evaluator=evaluator,
                    target=lambda trial: sign * trial.values[objective],
                )
        except (RuntimeError, ValueError) as error:
            log.info("parameter importance is not available: %s", error)
            return {}
        return dict(sorted(importance.items(), key=lambda item: -item[1]))

    def _complete_trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])

    def _sign(self, objective: int) -> int:
        """Return -1 if the objective is maximised, else 1: low values are then good."""
        maximise = self._study.directions[objective] is optuna.study.StudyDirection.MAXIMIZE
        return -1 if maximise else 1


def _study_trial(trial: FrozenTrial) -> StudyTrial:
    seconds = None
    if trial.datetime_start and trial.datetime_complete:
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
    return StudyTrial(
        number=trial.number,
        state="failed" if trial.state is TrialState.FAIL else trial.state.name.lower(),
        params=trial.params or trial.system_attrs.get("fixed_params", {}),
        values=tuple(trial.values) if trial.state is TrialState.COMPLETE else (),
        curve=dict(sorted(trial.intermediate_values.items())),
        facts=dict(trial.user_attrs),
        seconds=seconds,
    )
