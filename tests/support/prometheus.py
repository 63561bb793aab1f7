"""A real Prometheus and a real Alertmanager, configured as in `configs`; with shorter intervals if asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.system import free_port, wait_until
from training.runtime.settings import REPOSITORY

CONFIGS = REPOSITORY / "configs"


@dataclass(frozen=True)
class Prometheus:
    """Asked over its HTTP API."""

    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found = self._get("query", query=expr)["result"]
        assert isinstance(found, list), f"{expr}: got {found}, expected series"
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Names of alerts."""
        return {series["metric"]["alertname"] for series in self.query('ALERTS{alertstate="firing"}')}

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, by their labels."""
        return [one["labels"] for one in self._get("alerts")["alerts"] if one["state"] == "firing"]

    def _get(self, what: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


def program(*names: str) -> str:
    """The path of the first that there is; skips the test if none is."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{names[0]} is not installed: scripts/install-test-packages")


@contextmanager
def prometheus(folder: Path, var: Path, alertmanager: str, *, hurried: bool = True) -> Iterator[Prometheus]:
    """Running beside the system whose state is in `var`.

    Args:
        folder: for its files.
        var: where the system has written its targets and its key.
        alertmanager: HOST:PORT.
        hurried: it looks every two seconds, whatever its configuration says.
    """
    found = program("prometheus")
    home = folder / "configs" / "prometheus"
    shutil.copytree(CONFIGS / "prometheus" / "rules", home / "rules")
    config = yaml.safe_load((CONFIGS / "prometheus" / "prometheus.yml").read_text())
    if hurried:
        _hurry(config)
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    targets = folder / "var" / "targets"
    targets.mkdir(parents=True)
    (folder / "var" / "api-key").symlink_to(var / "api-key")
    for file in (var / "targets").glob("*.json"):
        (targets / file.name).symlink_to(file)
    (targets / "alertmanager.json").unlink()
    (targets / "alertmanager.json").write_text(json.dumps([{"targets": [alertmanager]}]))
    address = f"127.0.0.1:{free_port()}"
    words = (f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
    with _process(folder / "prometheus.log", found, *words, f"--web.listen-address={address}"):
        url = f"http://{address}"
        wait_until(lambda: _answers(f"{url}/-/ready"), 30, "Prometheus is ready")
        yield Prometheus(url)


def _hurry(config: dict[str, Any]) -> None:
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    for job in config["scrape_configs"]:
        if "scrape_interval" in job:
            job |= {"scrape_interval": "5s", "scrape_timeout": "5s"}


@contextmanager
def alertmanager(folder: Path, slack_url: str, *, hurried: bool = True) -> Iterator[str]:
    """Running; its HOST:PORT. Mails go nowhere.

    Args:
        folder: for its files.
        slack_url: where it posts to, in place of Slack.
        hurried: it waits a second for more alerts of a group, whatever its configuration says.
    """
    found = program("prometheus-alertmanager", "alertmanager")
    folder.mkdir()
    config = yaml.safe_load((CONFIGS / "alertmanager" / "alertmanager.yml").read_text())
    (folder / "slack-url").write_text(slack_url)
    (folder / "password").write_text("none")
    config["global"] |= {
        "slack_api_url_file": str(folder / "slack-url"),
        "smtp_auth_password_file": str(folder / "password"),
        "smtp_smarthost": f"127.0.0.1:{free_port()}",
    }
    if hurried:
        for route in config["route"]["routes"]:
            route["group_wait"] = "1s"
    config["templates"] = [str(CONFIGS / "alertmanager" / "templates" / "*.tmpl")]
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    words = (f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}")
    listen = (f"--web.listen-address={address}", "--cluster.listen-address=")
    with _process(folder / "alertmanager.log", found, *words, *listen):
        wait_until(lambda: _answers(f"http://{address}/-/ready"), 30, "Alertmanager is ready")
        yield address


@contextmanager
def alerted(folder: Path, var: Path, slack_url: str, *, hurried: bool = True) -> Iterator[Prometheus]:
    """Prometheus with its Alertmanager; arguments as of either."""
    with (
        alertmanager(folder / "alertmanager", slack_url, hurried=hurried) as address,
        prometheus(folder, var, address, hurried=hurried) as running,
    ):
        yield running


@contextmanager
def posts() -> Iterator[tuple[str, list[Any]]]:
    """A URL, and the JSON that is posted there, as it comes."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/slack", received
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _process(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        running.terminate()
        running.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
