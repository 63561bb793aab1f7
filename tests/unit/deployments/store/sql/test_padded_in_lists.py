"""Lists of keys in statements: all keys, few lengths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.store.sql.padded_in_lists import padded_in_lists

MOST_LENGTHS = 11


@given(st.integers(0, 5000))
def test_no_key_is_lost_and_none_is_added(count: int) -> None:
    keys = [str(number) for number in range(count)]
    padded = [key for part in padded_in_lists(keys) for key in part]
    assert set(padded) == set(keys)
    assert len(padded) < 2 * max(count, 1)


def test_however_long_the_batches_are_there_are_few_statements() -> None:
    keys = [str(number) for number in range(3000)]
    lengths = {len(part) for count in range(3000) for part in padded_in_lists(keys[:count])}
    assert len(lengths) == MOST_LENGTHS
