"""Ridge regression (scikit-learn) on the inputs and their products, with the squared loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from training.families.base import expect_numbers
from training.families.linear import FittedLinear, expand, outputs_by_rows
from training.fitting.data import Params, Report, Split
from training.fitting.feature_mask import visible_features
from training.fitting.losses import split_loss


class RidgeFamily:
    """`training.families.base.Family`; one report at the end. `linear` is its robust sister."""

    name = "ridge"
    iterative = False

    def search_space(self, trial: Any) -> None:
        """Strength of the ridge, products or not, and what it may not see."""
        trial.suggest_float("alpha", 1e1, 1e4, log=True)
        trial.suggest_categorical("products", [True, False])
        trial.suggest_categorical("masked_features", [""])

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedLinear:
        """Fit each output to the rows in which it is known.

        There is nothing random in it: `seed` changes nothing.

        Raises:
            ValueError: the target is not numbers, an output is known in no row, or there is nothing that
                `masked_features` names.
        """
        expect_numbers(self.name, train)
        # what is always 0 gets the coefficient 0
        visible = np.where(visible_features(params, train), train.x, 0)
        pairs, columns = expand(visible, bool(params["products"]))
        ridge = Ridge(alpha=float(params["alpha"]))
        coefficients = np.empty((train.y.shape[1], columns.shape[1]))
        intercepts = np.empty(train.y.shape[1])
        for rows, outputs in outputs_by_rows(train.y):
            y = train.y[rows][:, outputs]
            weight = train.weight[rows].astype(np.float64)
            ridge.fit(columns[rows], y[:, 0] if len(outputs) == 1 else y, sample_weight=weight)
            coefficients[outputs], intercepts[outputs] = ridge.coef_, ridge.intercept_
        fitted = FittedLinear(coefficients, intercepts, pairs, train.x.shape[1:])
        report(1, split_loss(fitted.predict(valid.x), valid))
        return fitted


FAMILY = RidgeFamily()
