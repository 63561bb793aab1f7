"""Which tests may be skipped in a run that is to show that all is well.

Without a program, a database or data a test is skipped, with the reason. Where all of that is installed, a
skip is a fault: with RAYSONDE_TEST_STRICT_SKIPS=1 in the environment the test fails, unless its reason is one
of `ALLOWED`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.support.recorded import SHARED

STRICT_SKIPS = "RAYSONDE_TEST_STRICT_SKIPS"
NO_GPU = "no GPU here"
ALLOWED = (NO_GPU,)


def is_strict(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether skips fail."""
    return environment.get(STRICT_SKIPS, "") not in ("", "0")


def may_be_skipped(reason: str, has_recorded: bool = SHARED.is_dir()) -> bool:
    """Whether the test may be missing from a strict run.

    Args:
        reason: of the skip.
        has_recorded: the recorded data are there. They are not published, so a plain clone is without them,
            but where the folder is there, it must be whole.
    """
    reason = reason.removeprefix("Skipped: ")
    return reason in ALLOWED or (not has_recorded and reason.startswith(f"no {SHARED}/"))
