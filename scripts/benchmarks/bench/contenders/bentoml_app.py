"""BentoML: `bentoml serve bentoml_app:Table`, one worker, which is its default, with adaptive batching."""
# No `from __future__ import annotations` here: BentoML reads the annotations at run time.

import os

import bentoml
import joblib
import numpy as np


@bentoml.service
class Table:
    """A model behind BentoML."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]  # BentoML is not where types are checked
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n, 16) -> (n,)."""
        answers: np.ndarray = self.model.predict(rows)
        return answers
