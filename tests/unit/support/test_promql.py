"""The reading of expressions, on which the tests of rules and dashboards stand."""

from __future__ import annotations

import pytest

from tests.support.promql import selectors


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up == 0", ["up"]),
        ('rate(a_total{x="1", y=~"a|b"}[5m]) > 0.5', ['a_total{x="1", y=~"a|b"}']),
        ("sum by (workload, le) (b) / on (workload) group_left c:d:e", ["b", "c:d:e"]),
        ('label_replace(q{p=~"h-.+"}, "workload", "$1", "p", "h-(.+)")', ['q{p=~"h-.+"}']),
        ("a and b or on (x) c unless ignoring (y) d", ["a", "b", "c", "d"]),
        ("time() - max(t) > 2 * 86400", ["t"]),
    ],
)
def test_selectors_of_an_expression(expr: str, expected: list[str]) -> None:
    assert [str(one) for one in selectors(expr)] == expected


def test_labels_of_a_selector() -> None:
    (found,) = selectors('m{a="x=y", b!~"c", d=~"$e"}')
    assert found.labels == {"a", "b", "d"}
