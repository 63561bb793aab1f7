"""Requests that are merged into one retraining: a row stays short, and decides as one that has them all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.retraining import Request, Retraining
from deployments.domain.retraining_transitions import MOST_REQUESTS, add_request

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
times = st.integers(0, 10).map(lambda minutes: NOW + timedelta(minutes=minutes))
requests = st.builds(
    Request,
    reason=st.sampled_from(["drift", "schedule", "by hand"]),
    at=times,
    by=st.just("api"),
    since=st.none() | times,
    event=st.none() | st.integers(1, 5),
)


@given(st.lists(requests, min_size=1, max_size=80))
def test_a_row_is_short_and_decides_as_one_with_all_requests(asked: list[Request]) -> None:
    row: Retraining | None = None
    for request in asked:
        row = add_request(row, "toy", "1", request)
    assert row is not None
    whole = row.model_copy(update={"requests": tuple(asked)})
    assert len(row.requests) == min(len(asked), MOST_REQUESTS)
    assert len(row.requests) + row.more_requests == len(asked)
    assert (row.requests[0], row.requests[-1]) == (asked[0], asked[-1])
    assert row.since == whole.since
    for reason in ("drift", "by hand"):
        said = [[one for one in each if one.reason == reason][-1:] for each in (row.requests, asked)]
        assert said[0] == said[1]
    assert any(one.event for one in row.requests) == any(one.event for one in asked)


def test_a_row_that_has_grown_long_is_shortened() -> None:
    request = Request(reason="by hand", at=NOW, by="api", note="x" * 500)
    grown = add_request(None, "toy", "1", request).model_copy(update={"requests": (request,) * 450})
    row = add_request(grown, "toy", "2", request)
    assert (len(row.requests), row.more_requests) == (MOST_REQUESTS, 451 - MOST_REQUESTS)
