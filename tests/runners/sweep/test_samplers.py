"""Samplers and pruners of a spec: each word has one of its own."""

from dataclasses import replace

import optuna
import pytest

from runners.sweep.samplers import pruner_of, sampler_of
from tests.support.paths import ROOT
from yolact_bench.spec.sweep.keys import PRUNERS, SAMPLERS
from yolact_bench.spec.sweep.sweep import load_sweep

SPEC = replace(load_sweep(ROOT / "sweeps" / "tiny.yaml"), pruner_options={})


def test_each_sampler_of_a_spec_is_its_own() -> None:
    """But for a grid, whose sets are enqueued: a new word would not silently draw at random."""
    kinds = {name: type(sampler_of(replace(SPEC, sampler=name), 0)) for name in SAMPLERS}
    drawn = [kind for name, kind in kinds.items() if not SAMPLERS[name]]

    assert len(set(drawn)) == len(drawn)
    with pytest.raises(KeyError):
        sampler_of(replace(SPEC, sampler="cmaes"), 0)


def test_only_the_pruner_that_prunes_nothing_is_optunas_nop() -> None:
    nop = optuna.pruners.NopPruner
    made = {name: pruner_of(replace(SPEC, pruner=name)) for name in PRUNERS}
    assert {name: not isinstance(pruner, nop) for name, pruner in made.items()} == PRUNERS
