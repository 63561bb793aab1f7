"""What a container's check asks, without a key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scripts.jobs import health


class Handler(BaseHTTPRequestHandler):
    """The API, or Ray's agent."""

    status = 200

    def do_GET(self) -> None:
        assert self.headers["authorization"] is None
        self.send_response({"/open": 200, "/-/ready": self.status}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Handler, "status", 200)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        at = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("RAYSONDE_URL", at)
        yield at
        server.shutdown()
        thread.join()


def test_the_api_is_asked_whether_it_is_ready(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main([]) == 0
    monkeypatch.setattr(Handler, "status", 503)
    assert health.main([]) == 1
    assert "/-/ready: HTTP Error 503" in capsys.readouterr().err


def test_another_address_may_be_asked(url: str) -> None:
    assert health.main([f"{url}/open"]) == 0
    assert health.main([f"{url}/other"]) == 1
