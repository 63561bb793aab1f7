"""Ridge regression (scikit-learn) on the inputs and their products, with the squared loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from training.families.base import Params, Report, Split
from training.families.linear import FittedLinear, expand


class RidgeFamily:
    """`training.families.base.Family`; one report at the end. `linear` is its robust sister."""

    name = "ridge"
    iterative = False

    def search_space(self, trial: Any) -> None:
        """Strength of the ridge, and products or not."""
        trial.suggest_float("alpha", 1e1, 1e4, log=True)
        trial.suggest_categorical("products", [True, False])

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedLinear:
        """There is nothing random in it: `seed` changes nothing."""
        pairs, columns = expand(train.x, bool(params["products"]))
        ridge = Ridge(alpha=float(params["alpha"]))
        ridge.fit(columns, train.y, sample_weight=train.weight.astype(np.float64))
        fitted = FittedLinear(ridge.coef_, float(ridge.intercept_), pairs, train.x.shape[1:])
        report(1, float(np.average(np.abs(fitted.predict(valid.x) - valid.y), weights=valid.weight)))
        return fitted


FAMILY = RidgeFamily()
