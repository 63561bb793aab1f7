"""A trace of a real request: from its caller through router, scaler and arm to a collector."""

from __future__ import annotations

import json

import pytest

from tests.support.collector import Collector
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.system import RunningSystem, wait_until

pytestmark = pytest.mark.integration
BODY = instance_of(apogee_contract(), fly(5)[0][105:160], "traced")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNSAMPLED = "1af7651916cd43dd8448eb211c80319c"


def test_a_trace_goes_from_the_caller_to_the_arm(system: RunningSystem, collector: Collector) -> None:
    with system.client() as client:
        client.post("/predict", json=BODY).raise_for_status()
        headers = {"Raysonde-Arm": "mlp", "traceparent": f"00-{UNSAMPLED}-{CALLER}-00"}
        client.post("/predict", json=BODY, headers=headers).raise_for_status()
        answer = client.post(
            "/predict", json=BODY, headers=headers | {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        )
    wait_until(lambda: len(collector.of_trace(TRACE)) == 6, 20, "all spans of the trace")
    spans = {one.span.name: one for one in collector.of_trace(TRACE)}
    names = {one.span.span_id: name for name, one in spans.items()} | {bytes.fromhex(CALLER): "caller"}
    assert {
        name: (one.resource["raysonde.part"], names[one.span.parent_span_id]) for name, one in spans.items()
    } == {
        "POST /apogee/predict": ("router", "caller"),
        "wait": ("router", "POST /apogee/predict"),
        "ask mlp": ("router", "POST /apogee/predict"),
        "scaler": ("scaler", "ask mlp"),
        "scale": ("scaler", "scaler"),
        "arm": ("mlp", "scaler"),
    }
    attributes = {one.key: one.value for one in spans["POST /apogee/predict"].span.attributes}
    assert attributes["raysonde.prediction.id"].string_value == answer.json()["id"]
    assert attributes["http.response.status_code"].int_value == 200
    # the other requests were over before this one came
    assert collector.trace_ids() == {TRACE}
    (line,) = wait_for_lines(system, "request_id", answer.json()["id"])
    assert line["trace_id"] == TRACE


def test_a_request_that_is_refused_is_found_in_the_log(system: RunningSystem) -> None:
    with system.client() as client:
        refused = client.post("/predict", json={"flight_id": "A12"})
    (line,) = wait_for_lines(system, "http_request_id", refused.headers["x-request-id"])
    assert (line["status"], line["kind"], line["path"]) == (422, "invalid-field", "/apogee/predict")
    assert line["detail"] == refused.json()["detail"]


def wait_for_lines(system: RunningSystem, key: str, value: str) -> list[dict[str, object]]:
    """The lines of the router with this value."""

    def found() -> list[dict[str, object]]:
        files = system.settings.logs.glob("apogee-router.*.jsonl")
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line for line in lines if line.get(key) == value]

    wait_until(lambda: bool(found()), 10, f"a line with {key}")
    return found()
