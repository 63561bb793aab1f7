"""docs/reference/api.md names every call that there is, and no other."""

from __future__ import annotations

import re

import pytest

from deployments.http.app import build_api
from deployments.http.problems import _RULES
from deployments.store import Store
from tests.support.page import DOCS
from tests.support.serving import LocalSystem

PAGE = (DOCS / "reference" / "api.md").read_text()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Method and path of every documented route, with the Monitor's."""
    folder = tmp_path_factory.mktemp("api")
    system = LocalSystem(folder)
    store = Store(f"sqlite:///{folder}/store.db")
    paths = build_api(system.stack, store.monitor_feed).openapi()["paths"]
    store.close()
    system.store.close()
    return {f"{method.upper()} {path}" for path, by_method in paths.items() for method in by_method}


def test_the_table_has_every_call(calls: set[str]) -> None:
    table = PAGE.split("| call, under `/{workload}` | does |")[1].split("\n\n")[0]
    assert set(re.findall(r"`((?:GET|POST|PUT) [^`]+)`", table)) == calls


def test_every_kind_of_problem_is_in_the_table() -> None:
    table = PAGE.split("| `type` ends in | status | |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| (`.*`) \| (\d+) \|", table, re.MULTILINE))
    documented = {
        (kind, int(status)) for kinds, status in rows.items() for kind in re.findall(r"`([^`]+)`", kinds)
    }
    assert documented == {(rule.kind, rule.status) for rule in _RULES} | {("fault", 500)}
