"""Which skips a strict run accepts."""

from __future__ import annotations

import pytest

from tests.support.recorded import SHARED
from tests.support.skips import NO_GPU, STRICT_SKIPS, is_strict, may_be_skipped

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("reason", "has_recorded", "accepted"),
    [
        (NO_GPU, True, True),
        (f"Skipped: {NO_GPU}", True, True),
        ("shellcheck is not installed", False, False),
        (f"no {SHARED}/data/a.parquet: it is not part of the repository", False, True),
        (f"Skipped: no {SHARED}/data/a.parquet", False, True),
        (f"no {SHARED}/data/a.parquet: it is not part of the repository", True, False),
    ],
)
def test_a_gpu_may_be_missing_and_the_recorded_data_as_a_whole(
    reason: str, has_recorded: bool, accepted: bool
) -> None:
    assert may_be_skipped(reason, has_recorded) == accepted


@pytest.mark.parametrize(("value", "strict"), [("1", True), ("0", False), ("", False), (None, False)])
def test_strict_is_what_the_variable_says(value: str | None, strict: bool) -> None:
    assert is_strict({} if value is None else {STRICT_SKIPS: value}) == strict


MODULE = """
import pytest

@pytest.mark.skipif(True, reason={reason!r})
def test_by_mark(): ...

def test_within():
    pytest.skip({reason!r})
"""


@pytest.mark.parametrize(
    ("reason", "strict", "outcomes"),
    [
        ("shellcheck is not installed", "1", {"errors": 1, "failed": 1}),
        ("shellcheck is not installed", "", {"skipped": 2}),
        (NO_GPU, "1", {"skipped": 2}),
    ],
)
def test_a_strict_run_fails_on_a_skip_that_is_not_listed(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    strict: str,
    outcomes: dict[str, int],
) -> None:
    monkeypatch.setenv(STRICT_SKIPS, strict)
    pytester.makeconftest("from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makepyfile(MODULE.format(reason=reason))
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(**outcomes)


def test_a_strict_run_fails_on_a_module_that_is_skipped(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STRICT_SKIPS, "1")
    pytester.makeconftest("from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makepyfile("import pytest\npytest.skip('no program', allow_module_level=True)")
    assert pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").ret != 0
