"""The page: exactly the declared families, of every replica that answers, whatever else is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deployments.actors.router_metrics import router_samples
from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Request
from deployments.http.request_metrics import RequestCounts
from deployments.store import StoreUnavailable
from deployments.store.metrics_snapshot import WorkloadSnapshot
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from deployments.telemetry.metrics.catalogue import COMMON_LABELS, METRICS
from deployments.telemetry.metrics.collector import MetricsCollector
from deployments.telemetry.metrics.samples import ReplicaSamples, Samples
from deployments.telemetry.metrics.store_metrics import window_name
from tests.support.reentry import points_of, reentry_parts
from tests.support.serving import LocalSystem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARM: dict[str, Any] = {
    "predictions": 40,
    "truths": 30,
    "truth_share": 0.75,
    "metrics": {"accuracy": 0.9, "log_loss": 0.3, "coverage": 0.88, "nominal_coverage": 0.9},
    "mean_prediction": 0.25,
    "histogram": [
        {"from": 0.1, "to": 0.1259, "count": 30},
        {"from": 0.1259, "to": 0.1585, "count": 4},
        {"from": 0.7943, "to": 1.0, "count": 6},
    ],
    "fallback_share": 0.0,
    "outlier_share": 0.0,
    "mean_lag_s": 3.5,
}
# of the windows that are not the hour, another count each
LAGS: dict[float, list[dict[str, float | None]]] = {
    300.0: [{"up_to_s": 1.0, "count": 3}],
    3600.0: [
        {"up_to_s": 1.0, "count": 10},
        {"up_to_s": 60.0, "count": 19},
        {"up_to_s": None, "count": 1},
    ],
    86_400.0: [{"up_to_s": 1.0, "count": 777}],
}
DRIFT: dict[str, object] = {"since": None, "reason": "", "evidence": {}}
PAGE: dict[str, Any] = {
    "workload": "reentry",
    "at": NOW.isoformat(),
    "up_to_date": True,
    "windows": {
        f"{window_s:g}_s": {
            "window_s": window_s,
            "arms": {"mlp": ARM | {"predictions": 40 + window_s, "lag": LAGS[window_s]}},
            "truths": dict.fromkeys(("joined", "late", "early", "repeated", "conflicting"), 0),
        }
        for window_s in (300.0, 3600.0, 86_400.0)
    },
    "drift": [
        {"kind": "input", "subject": "", "state": "drifting", "score": 1.7, **DRIFT},
        {"kind": "concept", "subject": "mlp", "state": "insufficient_data", "score": None, **DRIFT},
    ],
    "levels": {"mlp": {"nominal": 0.9, "level": 0.93, "served": True, "truths": 30}},
}


class FakeSystem:
    """A workload in one process whose router replicas come and go, and a store in which much has happened."""

    def __init__(self, folder: Path) -> None:
        self.local = LocalSystem(folder, reentry_parts)
        self.time_s = 0.0
        self.replicas: list[ReplicaSamples] = []
        self.collect_from(self.local.store.snapshots.read)

    def collect_from(self, read_store: Callable[[str], WorkloadSnapshot]) -> None:
        """Start anew, with another way to read the store."""
        self.collector = MetricsCollector(
            ["reentry"], self.read_replicas, read_store, "1.2.3", lambda: NOW, lambda: self.time_s
        )

    async def read_replicas(self, workload: str) -> Sequence[ReplicaSamples]:
        assert workload == "reentry"
        return self.replicas

    def replica(self, name: str, predictions: int = 0) -> ReplicaSamples:
        samples = Samples()
        samples.put("raysonde_predictions_total", predictions, "mlp")
        samples.put("raysonde_arm_ready", 1.0, "mlp")
        return ReplicaSamples(name, samples)

    async def samples(self) -> list[Sample]:
        """Of a page that is not kept from before."""
        self.time_s += 1
        families = text_string_to_metric_families((await self.collector.exposition()).decode())
        return [sample for family in families for sample in family.samples]

    async def value(self, name: str, **labels: str) -> float:
        """Sum over all samples with these labels."""
        found = [
            one for one in await self.samples() if one.name == name and labels.items() <= one.labels.items()
        ]
        assert found, f"no {name} {labels}"
        return sum(one.value for one in found)

    def fill_the_store(self) -> None:
        store = self.local.store
        event = DriftEvent(NOW, "reentry", "input", "", "drifting", "moved", {})
        page = MonitoredPage(NOW - timedelta(seconds=4), PAGE, Cursors(), {})
        store.monitor_feed.write("reentry", page, [event])
        done = store.retrainings.request("reentry", Request(reason="by hand", at=NOW, by="test"))
        store.retrainings.change(done, lambda row: row.model_copy(update={"state": "done", "ended_at": NOW}))
        waiting = store.retrainings.request("reentry", Request(reason="by hand", at=NOW, by="test"))
        store.retrainings.change(waiting, lambda row: row.model_copy(update={"state": "running"}))
        version = self.local.versions["mlp"]
        promotion = store.promotions.begin("reentry", "mlp", version, version)

        def keep(row: Promotion) -> Promotion:
            return row.model_copy(update={"state": "kept"})

        store.promotions.change(promotion, keep)
        store.promotions.begin("reentry", "linear", version, version)
        # what is another workload's
        store.monitor_feed.write("other", page, [replace(event, workload="other")])
        store.retrainings.request("other", Request(reason="by hand", at=NOW, by="test"))
        theirs = store.promotions.begin("other", "mlp", version, version)
        store.promotions.change(theirs, keep)


@pytest.fixture
def fake(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


async def test_the_page_has_exactly_the_declared_families(fake: FakeSystem) -> None:
    stack, counts = fake.local.stack, RequestCounts()
    fake.fill_the_store()
    async with fake.local.http() as client:
        answer = await client.post("/predict", json=points_of("capsule", 10))
        counts.add("predict", answer.status_code, 0.004, None)
        fake.replicas = [ReplicaSamples("r1", router_samples(stack, counts, {"direct": 3}))]
        text = (await fake.collector.exposition()).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {name.removesuffix("_total") for name in METRICS}
    for metric in METRICS.values():
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind.removeprefix("gauge") if metric.kind != "gauge" else "gauge"
        assert family.documentation == metric.help
        for sample in family.samples:
            expected = {*metric.all_labels, *(("le",) if sample.name.endswith("_bucket") else ())}
            assert set(sample.labels) == expected, sample
            assert sample.name.startswith(metric.name)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines), "no series is there twice"


async def test_what_the_store_holds_is_exported_as_it_is(fake: FakeSystem) -> None:
    fake.fill_the_store()
    of = fake.value
    assert await of("raysonde_window_predictions", arm="mlp", window="5m") == 340
    assert await of("raysonde_window_predictions", arm="mlp", window="1d") == 86_440
    assert await of("raysonde_window_error", arm="mlp", window="1h", metric="log_loss") == 0.3
    assert await of("raysonde_window_region_coverage_ratio", window="5m") == 0.88
    assert await of("raysonde_region_nominal_ratio", arm="mlp") == 0.9
    assert await of("raysonde_region_level_ratio", arm="mlp") == 0.93
    assert await of("raysonde_window_truth_ratio", window="5m") == 0.75
    assert await of("raysonde_window_prediction_mean", window="5m") == 0.25
    assert await of("raysonde_window_feedback_lag_mean_seconds", window="5m") == 3.5
    assert await of("raysonde_drift_hot", detector="input", subject="all") == 1
    assert await of("raysonde_drift_hot", detector="concept", subject="mlp") == 0
    assert await of("raysonde_drift_score", detector="input") == 1.7
    assert await of("raysonde_drift_events_total", detector="input", state="hot") == 1
    assert await of("raysonde_drift_events_total") == 1
    assert await of("raysonde_retrainings_total", outcome="done") == 1
    assert await of("raysonde_retrainings_total", outcome="failed") == 0
    assert await of("raysonde_retraining_running") == 1
    assert await of("raysonde_retraining_last_timestamp_seconds") == NOW.timestamp()
    assert await of("raysonde_promotions_total", arm="mlp", outcome="kept") == 1
    assert await of("raysonde_promotions_total") == 1
    version = fake.local.versions["linear"]
    assert await of("raysonde_model_info", arm="linear", bundle=version.bundle, model_version="1") == 1
    assert await of("raysonde_monitor_page_age_seconds") == 4
    assert await of("raysonde_monitor_up_to_date") == 1
    assert await of("raysonde_build_info", version="1.2.3") == 1


async def test_histograms_of_windows_are_cumulative_and_know_their_gaps(fake: FakeSystem) -> None:
    fake.fill_the_store()
    samples = await fake.samples()
    values = {s.labels["le"]: s.value for s in samples if s.name == "raysonde_window_prediction_bucket"}
    assert values == {"0.1": 0, "0.1259": 30, "0.1585": 34, "0.7943": 34, "1.0": 40, "+Inf": 40}
    lags = {s.labels["le"]: s.value for s in samples if s.name == "raysonde_window_feedback_lag_bucket"}
    assert [lags[le] for le in ("1.0", "10.0", "60.0", "86400.0", "+Inf")] == [10, 10, 29, 29, 30]


async def test_a_replaced_replica_is_counted_no_more(fake: FakeSystem) -> None:
    fake.replicas = [fake.replica("old", 5), fake.replica("stays", 2)]
    assert await fake.value("raysonde_predictions_total") == 7
    fake.replicas = [fake.replica("new", 1), fake.replica("stays", 3)]
    assert await fake.value("raysonde_predictions_total") == 4
    assert await fake.value("raysonde_predictions_total", replica="new") == 1
    assert {s.labels["replica"] for s in await fake.samples() if "replica" in s.labels} == {"new", "stays"}


async def test_a_page_is_kept_for_a_second_and_made_once_for_all_who_ask(fake: FakeSystem) -> None:
    fake.replicas = [fake.replica("r", 1)]
    first = await fake.collector.exposition()
    fake.replicas = [fake.replica("r", 2)]
    assert await fake.collector.exposition() is first
    fake.time_s += 1
    second, same = await asyncio.gather(fake.collector.exposition(), fake.collector.exposition())
    assert second is same
    assert second != first


async def test_a_workload_is_ready_when_each_replica_has_each_arm(fake: FakeSystem) -> None:
    assert await fake.value("raysonde_workload_ready", workload="reentry") == 0  # nobody answers
    fake.replicas = [fake.replica("one")]
    assert await fake.value("raysonde_workload_ready") == 1
    other = fake.replica("two")
    other.samples.put("raysonde_arm_ready", 0.0, "linear")
    fake.replicas.append(other)
    assert await fake.value("raysonde_workload_ready") == 0


@pytest.mark.parametrize("text", ['quoted "arm"', "back\\slash", "two\nlines", "ä€"])
async def test_labels_are_escaped(fake: FakeSystem, text: str) -> None:
    one = fake.replica("r")
    one.samples.put("raysonde_predictions_total", 3, text)
    fake.replicas = [one]
    assert await fake.value("raysonde_predictions_total", arm=text) == 3


async def test_a_store_that_is_away_takes_nothing_else_along(fake: FakeSystem) -> None:
    def away(workload: str) -> WorkloadSnapshot:
        raise StoreUnavailable("away")

    fake.replicas = [fake.replica("r", 5)]
    fake.collect_from(away)
    assert await fake.value("raysonde_predictions_total") == 5
    names = {sample.name for sample in await fake.samples()}
    assert {METRICS[n].origin for n in names if n in METRICS} == {"router", "store", "system"}
    assert [name for name in names if METRICS[name].origin == "store"] == ["raysonde_workload_ready"]


async def test_a_store_that_hangs_holds_up_one_thread_and_no_page(
    fake: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, read = threading.Event(), []

    def slow(workload: str) -> WorkloadSnapshot:
        read.append(workload)
        assert gate.wait(10)
        return fake.local.store.snapshots.read(workload)

    fake.fill_the_store()
    fake.replicas = [fake.replica("r", 5)]
    fake.collect_from(slow)
    monkeypatch.setattr("deployments.telemetry.metrics.collector.READ_TIMEOUT_S", 0.01)
    seen = [{sample.name for sample in await fake.samples()} for _ in range(2)]
    threads = list(read)
    gate.set()
    for names in seen:
        assert ("raysonde_predictions_total" in names, "raysonde_model_info" in names) == (True, False)
    assert threads == ["reentry"]
    monkeypatch.setattr("deployments.telemetry.metrics.collector.READ_TIMEOUT_S", 10.0)
    assert await fake.value("raysonde_monitor_up_to_date") == 1


async def test_a_page_of_another_version_is_left_out(fake: FakeSystem) -> None:
    fake.local.store.monitor_feed.write("reentry", MonitoredPage(NOW, {"windows": 1}, Cursors(), {}))
    names = {sample.name for sample in await fake.samples()}
    assert "raysonde_build_info" in names
    assert "raysonde_monitor_up_to_date" not in names


def test_windows_are_named_as_the_page_has_them() -> None:
    names = [window_name(window_s) for window_s in (300.0, 3600.0, 86_400.0, 90.0, 0.5)]
    assert names == ["5m", "1h", "1d", "90s", "0.5s"]


def test_names_follow_the_conventions() -> None:
    for metric in METRICS.values():
        assert metric.name.startswith("raysonde_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not {"le", "quantile", "job", "instance"} & set(metric.all_labels)
        assert len(set(metric.all_labels)) == len(metric.all_labels)
        assert metric.all_labels[: len(COMMON_LABELS[metric.origin])] == COMMON_LABELS[metric.origin]
