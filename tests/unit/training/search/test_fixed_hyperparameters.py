"""Parameters that a workload holds."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from training.families.base import load_family
from training.search.fixed_hyperparameters import check_fixed, search_space_without


def suggested(fixed: dict[str, Any]) -> dict[str, Any]:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    search_space_without(load_family("mlp"), fixed)(trial)
    return dict(trial.params)


def test_a_fit_gets_the_fixed_values_and_the_rest_is_searched() -> None:
    fixed = {"width": 96, "depth": 2, "learning_rate": 4e-3, "loss": "distance"}
    found = suggested(fixed)
    assert {name: found[name] for name in fixed} == fixed
    assert set(found) == set(suggested({}))
    assert 1e-5 <= found["weight_decay"] <= 1e-2


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"mlp": {"widht": 96}}, r"search\.mlp: got 'widht', expected one of width, depth,"),
        ({"mlp": {"width": "wide"}}, r"search\.mlp\.width: got 'wide', expected a number"),
        ({"mlp": {"loss": 3}}, r"search\.mlp\.loss: got 3, expected a name"),
        ({"ridge": {"products": 1}}, r"search\.ridge\.products: got 1, expected a truth value"),
    ],
)
def test_what_a_family_does_not_know_is_refused(fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_fixed(fixed)


def test_what_a_family_knows_is_accepted() -> None:
    check_fixed({"mlp": {"width": 96, "dropout": 0.1}, "ridge": {"products": False}, "gru": {}})
