"""`raysonde node`: the call of `ray start`, and what a head tells Serve."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from scripts.host.interruption import Interruption
from scripts.launcher.node_environment import node_environment
from scripts.launcher.node_start import Dashboard, NodePorts, ServeRefused, ray_start, run_head
from scripts.launcher.preflight import free_port
from scripts.launcher.supervisor import ChildDied
from tests.support.system import wait_until
from training.runtime.settings import Settings

PORTS = NodePorts(metrics=8080, agent=52365)
URL = "http://ray"

# Ray as far as a head of ours talks to it: a dashboard that writes down what it is asked
RAY = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

record, served = Path(sys.argv[2]), {}

class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        with record.open("a") as file:
            file.write(json.dumps([self.command, self.path, self.headers["authorization"], body]) + "\\n")
        if self.command == "PUT":
            served["root"] = {}
        if self.command == "DELETE":
            served.clear()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"applications": served}).encode())

    do_GET = do_PUT = do_DELETE = answer

    def log_message(self, *_): ...

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("node_start", "supervisor"):
        monkeypatch.setattr(f"scripts.launcher.{module}._POLL_S", 0.02)


def test_a_node_is_started_with_what_the_environment_says() -> None:
    environment = {"RAYSONDE_CPUS": "3", "RAYSONDE_HAPROXY": "/bin/echo"}
    command = ray_start(PORTS, environment)
    assert Path(command[0]).name == "ray"
    assert command[1:4] == ["start", "--block", "--disable-usage-stats"]
    assert "--num-cpus=3" in command
    assert {"--metrics-export-port=8080", "--dashboard-agent-listen-port=52365"} <= set(command)
    assert environment.items() >= {"RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}.items()
    assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_without_a_bound_ray_counts_by_itself() -> None:
    assert not [part for part in ray_start(PORTS, {}) if part.startswith("--num-cpus")]


def test_haproxy_is_called_by_our_script_however_often_the_environment_is_made() -> None:
    first = node_environment({"RAY_SERVE_HAPROXY_BINARY_PATH": "/usr/sbin/haproxy"})
    assert first["RAYSONDE_HAPROXY"] == "/usr/sbin/haproxy"
    assert first["RAY_SERVE_HAPROXY_BINARY_PATH"].endswith("haproxy-wrapper")
    assert node_environment(first) == first
    assert node_environment({}, lambda: "/bundled")["RAYSONDE_HAPROXY"] == "/bundled"


def dashboard(answer: Callable[[httpx.Request], httpx.Response]) -> Dashboard:
    return Dashboard(URL, "secret", httpx.MockTransport(answer))


def test_the_dashboard_is_waited_for_while_ray_lives() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        if len(seen) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503 if len(seen) == 2 else 200)

    with Interruption() as interruption:
        dashboard(answer).wait(lambda: None, interruption)
    assert seen == ["Bearer secret"] * 3


def test_a_ray_that_ends_is_not_waited_for() -> None:
    def check() -> None:
        raise ChildDied("gone")

    with Interruption() as interruption, pytest.raises(ChildDied, match="gone"):
        dashboard(lambda _: httpx.Response(503)).wait(check, interruption)


def test_what_serve_refuses_is_printed() -> None:
    with pytest.raises(ServeRefused, match="with 400: no such field"):
        dashboard(lambda _: httpx.Response(400, text="Traceback\nno such field\n")).serve({})


def test_serving_ends_when_no_application_is_left() -> None:
    left: list[dict[str, object]] = [{"apogee": {}, "root": {}}, {"root": {}}, {}]
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(200, json={"applications": left.pop(0)} if request.method == "GET" else {})

    dashboard(answer).end_serving()
    assert seen == ["DELETE", "GET", "GET", "GET"]


def test_a_dashboard_that_is_gone_holds_up_no_end() -> None:
    seen: list[str] = []

    def gone(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        raise httpx.ConnectError("refused")

    dashboard(gone).end_serving()
    assert seen == ["DELETE"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return replace(Settings.from_environment(), var=tmp_path / "var")


def test_a_head_serves_until_it_is_asked_to_stop(settings: Settings, tmp_path: Path) -> None:
    port, record = free_port(), tmp_path / "record"
    output = StringIO()
    record.touch()

    def stop() -> None:
        wait_until(lambda: '"PUT"' in record.read_text(), 20, "the head tells what to serve")
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    command = [sys.executable, "-c", RAY, str(port), str(record)]
    code = run_head(Console(file=output), settings, command, "applications: [{name: root}]", port)
    stopper.join()
    calls = [json.loads(line) for line in record.read_text().splitlines()]
    assert code == 0
    assert [call[0] for call in calls] == ["GET", "PUT", "DELETE", "GET"]
    token = (settings.var / "ray-token").read_text()
    assert {call[2] for call in calls} == {f"Bearer {token}"}
    assert f"RAY_DASHBOARD_ADDRESS=http://127.0.0.1:{port}\n" in (settings.var / "ray.env").read_text()
    assert json.loads(calls[1][3]) == {"applications": [{"name": "root"}]}
    assert "told what to serve" in output.getvalue()


def test_a_head_whose_ray_ends_says_so(settings: Settings) -> None:
    output = StringIO()
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    assert run_head(Console(file=output), settings, command, "applications: []", free_port()) == 1
    assert "exit code 7" in output.getvalue()
