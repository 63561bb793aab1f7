"""Settings of the policy: what holds where it says nothing, and what it may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.cache_settings import CacheSettings
from deployments.domain.ensembles import EnsembleSettings
from tests.support.limits import limits_of


def test_breakers() -> None:
    assert limits_of(BreakerSettings) == {
        "failures_to_open": {"default": 5, "minimum": 1, "maximum": 1_000_000},
        "open_s": {"default": 5.0, "exclusiveMinimum": 0, "maximum": 31_536_000},
        "half_open_probes": {"default": 1, "minimum": 1, "maximum": 1_000_000},
    }


def test_the_cache() -> None:
    assert limits_of(CacheSettings) == {"max_entries": {"minimum": 1, "maximum": 1_000_000}}


def test_ensembles() -> None:
    assert limits_of(EnsembleSettings) == {
        "arms": {},
        "window": {"default": 500, "minimum": 1, "maximum": 5000},
        "min_truths": {"default": 30, "minimum": 1, "maximum": 5000},
    }
    assert EnsembleSettings(arms=("a", "b"), window=30).min_truths == 30


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"arms": ("a",)}, "at least 2 items"),
        ({"arms": ("a", "b", "a")}, r"arms: got \['a', 'b', 'a'\], expected each arm once"),
        ({"arms": ("a", "b"), "window": 29}, "min_truths: got 30, expected at most window, 29"),
    ],
)
def test_an_ensemble_that_cannot_be(members: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EnsembleSettings.model_validate(members)
