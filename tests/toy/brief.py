"""A multilayer perceptron that is small and quick to fit."""

from __future__ import annotations

from typing import Any

from training.families.mlp import MlpFamily


class BriefFamily(MlpFamily):
    name = "brief"

    def search_space(self, trial: Any) -> None:
        for name, value in {"width": 8, "depth": 2, "weight_decay": 1e-4, "batch_size": 64}.items():
            trial.suggest_categorical(name, [value])
        trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
        for name, constant in {"huber_delta": 1.0, "epochs": 7, "device": "cpu"}.items():
            trial.suggest_categorical(name, [constant])


FAMILY = BriefFamily()
