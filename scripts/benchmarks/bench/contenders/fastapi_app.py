"""FastAPI and uvicorn: `uvicorn fastapi_app:app`, one process, which is uvicorn's default.

The model is loaded in the lifespan and asked in an async function, as in FastAPI's "Lifespan Events".
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

models: dict[str, Any] = {}


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


class Answer(BaseModel):
    """The model's answer."""

    prediction: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request."""
    models["model"] = joblib.load(os.environ["MODEL"])
    yield
    models.clear()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(row: Row) -> Answer:
    """Predict one row."""
    return Answer(prediction=models["model"].predict([list(row.model_dump().values())])[0])
