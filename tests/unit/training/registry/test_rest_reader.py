"""MLflow's REST API as it answers, from a server that knows a few answers by heart."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from training.registry.errors import RegistryUnreadable
from training.registry.rest_reader import read_versions
from training.registry.version_row import VersionRow

Answer = tuple[int, Any]
_ROOT = "/api/2.0/mlflow/"


@dataclass
class FakeServer:
    """Answers by call; each is a function of what is asked."""

    url: str
    answers: dict[str, Callable[[Mapping[str, str]], Answer]] = field(default_factory=dict)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    signed: set[str | None] = field(default_factory=set)

    def answer(self, target: str, authorization: str | None) -> Answer:
        parts = urlsplit(target)
        call = parts.path.removeprefix(_ROOT)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((call, query))
        self.signed.add(authorization)
        return self.answers[call](query) if call in self.answers else (404, {})


@pytest.fixture
def server() -> Iterator[FakeServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = fake.answer(self.path, self.headers["Authorization"])
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        fake = FakeServer(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        http.shutdown()
        thread.join()


def version(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": str(number), "creation_timestamp": 7 + number} | more


@pytest.fixture
def filled(server: FakeServer) -> FakeServer:
    """Two pages: a version of a run, one without, one whose run is gone, and one of another workload."""
    tagged = version("toy.linear", 1, run_id="r", tags=[{"key": "bundle", "value": "sha256:1"}])
    first = {"model_versions": [tagged, version("toy.mlp", 2)], "next_page_token": "more"}
    second = {"model_versions": [version("toy.mlp", 3, run_id="gone"), version("toyx.mlp", 1)]}
    aliases = [{"alias": "champion", "version": "1"}, {"alias": "challenger", "version": "1"}]
    run = {"data": {"metrics": [{"key": "mae", "value": 1.5}, {"key": "r2", "value": "NaN"}]}}
    server.answers = {
        "registered-models/search": lambda _: (
            200,
            {"registered_models": [{"name": "toy.linear", "aliases": aliases}, {"name": "toy.mlp"}]},
        ),
        "model-versions/search": lambda query: (200, second if "page_token" in query else first),
        "model-versions/get-download-uri": lambda query: (
            200,
            {"artifact_uri": f"mlflow-artifacts:/{query['name']}/{query['version']}"},
        ),
        "runs/get": lambda query: (200, {"run": run}) if query["run_id"] == "r" else (404, {}),
    }
    return server


def test_every_page_is_read_and_nothing_of_another_workload(filled: FakeServer) -> None:
    found = read_versions(filled.url + "/", "toy", {})
    assert found is not None
    assert [(row.name, row.version) for row in found] == [("toy.linear", 1), ("toy.mlp", 2), ("toy.mlp", 3)]
    wanted = {query["filter"] for call, query in filled.requests if call.endswith("/search")}
    assert wanted == {"name LIKE 'toy.%'"}
    assert filled.signed == {None}


def test_a_version_has_its_tag_its_aliases_and_the_numbers_of_its_run(filled: FakeServer) -> None:
    found = read_versions(filled.url, "toy", {})
    assert found is not None
    first, by_hand, orphan = found
    assert first.metrics is not None
    assert first.metrics["mae"] == 1.5
    assert first.metrics["r2"] != first.metrics["r2"]
    assert (first.bundle, first.aliases, first.created_at_ms) == ("sha256:1", ("challenger", "champion"), 8)
    assert by_hand == VersionRow("toy.mlp", 2, "mlflow-artifacts:/toy.mlp/2", "", 9, None, {}, ())
    assert (orphan.run_id, orphan.metrics) == ("gone", None)


def test_nothing_more_is_asked_about_versions_without_the_alias(filled: FakeServer) -> None:
    found = read_versions(filled.url, "toy", {}, "champion")
    assert found is not None
    assert [(row.name, row.version) for row in found] == [("toy.linear", 1)]
    assert [call for call, _ in filled.requests if not call.endswith("/search")] == [
        "model-versions/get-download-uri",
        "runs/get",
    ]


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "secret"}, "Bearer secret"),
        ({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "b"}, "Basic YW5uOmI="),
    ],
)
def test_it_signs_in_as_mlflow_does(filled: FakeServer, environment: dict[str, str], header: str) -> None:
    assert read_versions(filled.url, "toy", environment)
    assert filled.signed == {header}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_wants_more_is_left_to_mlflow(filled: FakeServer, status: int) -> None:
    filled.answers["model-versions/search"] = lambda _: (status, {})
    assert read_versions(filled.url, "toy", {}) is None


@pytest.mark.parametrize(
    "answer", [(500, {}), (200, "<html>"), (200, {"model_versions": [{"name": "toy.a"}]})]
)
def test_what_answers_otherwise_is_no_registry(filled: FakeServer, answer: Answer) -> None:
    filled.answers["model-versions/search"] = lambda _: answer
    with pytest.raises(RegistryUnreadable, match="check RAYSONDE_REGISTRY_URI"):
        read_versions(filled.url, "toy", {})
