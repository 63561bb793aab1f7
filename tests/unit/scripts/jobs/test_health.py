"""What a container's check asks, and with which key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts.jobs import health

KEY = "right"


class Handler(BaseHTTPRequestHandler):
    """The API, or Ray's agent, which needs no key."""

    def do_GET(self) -> None:
        is_open = self.path == "/open"
        self.send_response(200 if is_open or self.headers["authorization"] == f"Bearer {KEY}" else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.delenv("RAYSONDE_API_KEY", raising=False)
    monkeypatch.delenv("RAYSONDE_API_KEY_FILE", raising=False)
    monkeypatch.setenv("RAYSONDE_VAR", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        at = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("RAYSONDE_URL", at)
        yield at
        server.shutdown()
        thread.join()


def test_the_api_is_asked_with_the_key_of_the_file(url: str, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text(f"{KEY}\n")
    assert health.main([]) == 0


def test_the_api_is_asked_with_the_key_of_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_API_KEY", KEY)
    assert health.main([]) == 0


def test_what_is_wrong_is_printed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main([]) == 1
    assert "/healthz: HTTP Error 401" in capsys.readouterr().err


def test_another_address_is_asked_without_a_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main([f"{url}/open"]) == 0
    assert health.main([f"{url}/healthz"]) == 1


def test_nobody_there_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["http://127.0.0.1:1/"]) == 1
    assert "refused" in capsys.readouterr().err
