"""Batches as they pass between processes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from deployments.domain.routing import ArmVersion
from deployments.inference.messages import PredictedMessage, RawBatch, ScaledBatch
from training.runtime.inference import Scaled
from training.runtime.tasks.base import Predicted

VERSION = ArmVersion(model_version="3", bundle="sha256:1", source="/models/3")
FLOATS = arrays(np.float64, array_shapes(min_dims=1, max_dims=3, min_side=0), elements=st.floats(width=32))


def parts(value: Any) -> Iterator[Any]:
    """What a batch is made of, in its order."""
    if isinstance(value, np.ndarray):
        yield (value.dtype, value.shape, value.tobytes())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from parts(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from parts(getattr(value, field.name))
    else:
        yield value


@given(raw=FLOATS, level=st.none() | st.floats(0.1, 0.9), trace=st.none() | st.text())
def test_a_batch_arrives_as_it_was_sent(
    raw: np.ndarray[Any, np.dtype[np.float64]], level: float | None, trace: str | None
) -> None:
    matrix = raw.astype(np.float32)
    predicted = Predicted({"prediction": raw, "lower": raw[::-1], "upper": raw.T})
    for batch in (
        RawBatch("linear", VERSION, raw, level, trace),
        ScaledBatch("sha256:1", Scaled(matrix, raw), raw, trace),
        PredictedMessage("sha256:1", predicted, 0.9, raw),
    ):
        arrived = pickle.loads(pickle.dumps(batch, pickle.HIGHEST_PROTOCOL))
        assert type(arrived) is type(batch)
        assert list(parts(arrived)) == list(parts(batch))


def test_what_has_arrived_cannot_be_written_to() -> None:
    arrived = pickle.loads(pickle.dumps(RawBatch("linear", VERSION, np.zeros((2, 3)))))
    with pytest.raises(ValueError, match="read-only"):
        arrived.raw[0, 0] = 1.0
