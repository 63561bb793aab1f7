"""Errors of a registry as a whole."""

from __future__ import annotations

import pytest

from training.registry.errors import RegistryUnreadable


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("postgresql://ann:s3@cr3t@host/mlflow", "failed to resolve host 'cr3t@host'"),
        ("postgresql://ann:s3@host/mlflow", "no answer from postgresql://ann:s3@host/mlflow"),
    ],
)
def test_no_part_of_a_password_is_in_the_message(uri: str, reason: str) -> None:
    message = str(RegistryUnreadable.because_of(ConnectionError(reason), uri))
    assert "postgresql://ann:***@host/mlflow" in message
    assert "s3" not in message
    assert "cr3t" not in message
