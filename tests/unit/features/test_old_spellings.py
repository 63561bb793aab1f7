"""Old spellings: they work, and the log says what to write."""

from __future__ import annotations

import logging

import pytest

from features.old_spellings import respell, respell_keys

NEW = {"held": "fixed"}


def test_an_old_key_is_read_as_the_new_one_and_the_log_says_what_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert respell_keys("training", {"held": 1, "seed": 2}, NEW) == {"fixed": 1, "seed": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "training: 'held' is the old spelling; write 'fixed'"
    ]


@pytest.mark.parametrize("values", [{"fixed": 1, "held": 2}, {"held": 1, "fixed": 2}])
def test_both_spellings_at_once_are_an_error(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"^training: got both spellings of a key, expected 'fixed' alone$"):
        respell_keys("training", values, NEW)


@pytest.mark.parametrize("values", [None, "held", ["held"]])
def test_what_is_no_mapping_stays(values: object, caplog: pytest.LogCaptureFixture) -> None:
    assert respell_keys("training", values, NEW) == values
    assert not caplog.records


def test_an_old_value_is_read_as_the_new_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert respell("state", "held", NEW) == "fixed"
        assert respell("state", "fixed", NEW) == "fixed"
    assert len(caplog.records) == 1
