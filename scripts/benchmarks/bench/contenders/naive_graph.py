"""A Ray Serve graph written the plain way: `python naive_graph.py PORT`; ingress -> scaler -> model.

One replica of each, every setting at its default but for two. A replica claims a fraction of a core: on
two cores three whole ones are never placed. And it takes 100 requests at once: at the default of 5 callers
back off when more come, and 64 connections get some 10 answers a second, too easy to be compared with.
"""
# No `from __future__ import annotations` here: Serve and FastAPI read the annotations at run time.

import os
import sys

import joblib
import numpy as np
import ray
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

app = FastAPI()
LIGHT = {"num_cpus": 0.1}
AT_ONCE = 100


class Row(BaseModel):
    """A row of the table."""

    x01: float
    x02: float
    x03: float
    x04: float
    x05: float
    x06: float
    x07: float
    x08: float
    x09: float
    x10: float
    x11: float
    x12: float
    x13: float
    x14: float
    x15: float
    x16: float


@serve.deployment(ray_actor_options=LIGHT, max_ongoing_requests=AT_ONCE)
class Scaler:
    """Scales one row."""

    def __init__(self, path: str) -> None:
        self._scaler = joblib.load(path).named_steps["scaler"]

    def scale(self, row: list[float]) -> np.ndarray:
        """(16,) -> (1, 16)."""
        scaled: np.ndarray = self._scaler.transform([row])
        return scaled


@serve.deployment(ray_actor_options=LIGHT, max_ongoing_requests=AT_ONCE)
class Model:
    """Asks the model about one row."""

    def __init__(self, path: str) -> None:
        self._model = joblib.load(path).named_steps["model"]

    def predict(self, scaled: np.ndarray) -> float:
        """(1, 16) -> one number."""
        return float(self._model.predict(scaled)[0])


@serve.deployment(ray_actor_options=LIGHT, max_ongoing_requests=AT_ONCE)
@serve.ingress(app)
class Ingress:
    """Checks a request and passes it on."""

    def __init__(self, scaler: DeploymentHandle, model: DeploymentHandle) -> None:
        self._scaler = scaler
        self._model = model

    @app.post("/predict")
    async def predict(self, row: Row) -> dict[str, float]:
        """Predict one row."""
        scaled = self._scaler.scale.remote(list(row.model_dump().values()))
        return {"prediction": await self._model.predict.remote(scaled)}


if __name__ == "__main__":
    ray.init(address="local", include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    model = os.environ["MODEL"]
    # a deployment is no longer the class that its decorator was given
    graph = Ingress.bind(Scaler.bind(model), Model.bind(model))  # type: ignore[attr-defined]
    serve.run(graph, blocking=True)
