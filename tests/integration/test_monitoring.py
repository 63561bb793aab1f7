"""Prometheus, Alertmanager and dashboards on a running system: what they ask for is there, alerts arrive."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from scripts.rendering.dashboards.files import DASHBOARDS
from tests.support.flights import fly
from tests.support.page import block_with, blocks_of
from tests.support.prometheus import Prometheus, alerted
from tests.support.promql import rules, selectors
from tests.support.system import RunningSystem, bodies, wait_until
from training.runtime.settings import REPOSITORY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

# What a system that predicts numbers, and was never trained again, has not.
EMPTY_PANELS = {
    "Classes: accuracy, F1, precision, recall": "apogee predicts numbers",
    "Predictions by class": "apogee predicts numbers",
    "Since the last retraining": "there was none",
}
EMPTY_SELECTORS = {
    "raysonde_retraining_last_timestamp_seconds": "there was none",
    'raysonde_requests_total{code=~"5.."}': "no request has failed",
}
# a few flights are not what the training was
EXPECTED_ALERTS = {"DriftDetected"}


@pytest.fixture(scope="module")
def watcher(
    fast_system: RunningSystem, slack: tuple[str, list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus beside the system, with its Alertmanager."""
    folder = tmp_path_factory.mktemp("prometheus")
    with alerted(folder, fast_system.settings.var, slack[0]) as running:
        yield running


def send(client: httpx.Client, flight: int) -> None:
    """A request of each kind, one of which is refused. One truth only: 256 would let a retraining start."""
    first, *others = bodies(flight)[:4]
    client.post("/batch_predict", json={"instances": others}).raise_for_status()
    answer = client.post("/predict", json=first).json()
    truth = {"id": answer["id"], "truth": {"apogee_m": fly(flight)[1]}}
    assert client.post("/feedback", json=truth).status_code == 202
    assert client.post("/predict", content=b"{").status_code == 400


def send_many(client: httpx.Client, least: int) -> None:
    """Predictions of several flights, as many as a detector needs to have a score."""
    sent = 0
    for flight in range(50, 100):
        instances = bodies(flight)
        client.post("/batch_predict", json={"instances": instances}).raise_for_status()
        sent += len(instances)
        if sent >= least:
            return


def filled_in(expr: str) -> str:
    """A query as Grafana sends it when all is chosen."""
    for variable, value in (
        ("$workload", ".*"),
        ("$arm", ".*"),
        ("$window", "1h"),
        ("$__rate_interval", "30s"),
    ):
        expr = expr.replace(variable, value)
    assert "$" not in expr
    return expr


def wait_for_series(
    watcher: Prometheus, wanted: set[tuple[str, str]], before_each: Callable[[], None] = lambda: None
) -> None:
    """Ask in rounds until every query has had series; of those that never had any it tells who asks."""
    empty = set(wanted)

    def none_is_empty() -> bool:
        before_each()
        empty.difference_update([one for one in empty if watcher.query(one[1])])
        return not empty

    try:
        wait_until(none_is_empty, 60, "every query has series")
    except AssertionError as error:
        raise AssertionError(f"empty: {sorted(empty)}") from error


def test_every_panel_shows_something(fast_system: RunningSystem, watcher: Prometheus) -> None:
    panels = [panel for dashboard in DASHBOARDS for panel in dashboard.panels]
    assert set(EMPTY_PANELS) <= {panel.title for panel in panels}
    wanted = {
        (panel.title, filled_in(query.expr))
        for panel in panels
        for query in panel.queries
        if panel.title not in EMPTY_PANELS
    }
    flights = iter(range(100, 10_000))
    with fast_system.client() as client:
        send_many(client, 250)
        wait_for_series(watcher, wanted, lambda: send(client, next(flights)))


def test_every_rule_is_loaded_and_asks_for_what_there_is(watcher: Prometheus) -> None:
    wait_until(lambda: all(one["health"] != "unknown" for one in watcher.rules()), 60, "every rule was asked")
    loaded = watcher.rules()
    assert len(loaded) == len(list(rules()))
    assert {(rule["name"], rule["health"], rule.get("lastError")) for rule in loaded} == {
        (rule["name"], "ok", None) for rule in loaded
    }
    wanted = {str(one) for rule in rules() for one in selectors(rule["expr"])}
    assert set(EMPTY_SELECTORS) <= wanted
    # what is recorded of a rate comes two scrapes and an evaluation after the start
    wait_for_series(watcher, {("a rule", one) for one in wanted - set(EMPTY_SELECTORS)})
    assert {series["metric"]["job"]: series["value"][1] for series in watcher.query("up")} == dict.fromkeys(
        ("raysonde", "ray", "haproxy"), "1"
    )
    assert watcher.firing() <= EXPECTED_ALERTS


def test_what_the_runbook_asks_by_hand_is_answered(fast_system: RunningSystem) -> None:
    block = block_with(blocks_of(REPOSITORY / "docs" / "how-to" / "operate.md"), "export RAYSONDE=")
    for here, there in (
        ("http://127.0.0.1:8000", fast_system.url),
        ("var/api-key", str(fast_system.settings.api_key_file)),
        ("/weather/", "/apogee/"),
        # curl says by itself what went wrong
        ("curl --silent", "curl --silent --show-error --fail"),
    ):
        assert here in block
        block = block.replace(here, there)
    done = subprocess.run(["bash", "-eu", "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for part in ('"policy"', '"windows"', "raysonde_build_info"):
        assert part in done.stdout


def test_an_arm_that_fails_is_alerted_by_a_prometheus_that_scrapes_every_two_seconds(
    fast_system: RunningSystem, watcher: Prometheus, slack: tuple[str, list[Any]]
) -> None:
    _, posts = slack
    with fast_system.client() as client:
        traffic = client.get("/traffic").json()
        policy, arms = traffic["policy"], traffic["arms"]
        failing = {"weights": {"mlp": 1.0}, "fallback": ["linear"], "deadlines_s": {"mlp": 1e-4}}
        try:
            client.put("/traffic", json=policy | failing).raise_for_status()

            def is_posted() -> bool:
                assert client.post("/predict", json=bodies(flight=8)[0]).status_code == 200
                return any("mlp of apogee fails" in str(one) for one in posts)

            wait_until(is_posted, 60, "Slack hears that the arm fails")
        finally:
            client.put("/traffic", json=policy).raise_for_status()
        assert "ArmFailing" in watcher.firing()
        (text,) = [one["text"] for post in posts for one in post["attachments"] if "mlp of" in one["text"]]
        assert "docs/how-to/operate.md#armfailing" in text

        def is_well_again() -> bool:
            # by name: under the policy that is back an arm may have no traffic, and a breaker of an earlier
            # test stays half open until its arm is asked; 503 while one is open
            for arm in arms:
                client.post("/predict", json=bodies(flight=8)[0], headers={"Raysonde-Arm": arm})
            return all(series["value"][1] == "0" for series in watcher.query("raysonde_breaker_open"))

        wait_until(is_well_again, 60, "the breakers are closed again")
