"""Arguments of an application in serve_config.yaml."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.app import AppArguments


def test_the_old_spelling_of_an_argument_still_works() -> None:
    arguments = AppArguments.model_validate({"workload": "apogee", "own_steward": False})
    assert not arguments.own_lifecycle_controller


def test_an_argument_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValidationError, match="own_stewart"):
        AppArguments.model_validate({"workload": "apogee", "own_stewart": False})
