"""Where MLflow's artifacts are; the rest is tested against a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from toy.parts import toy_contract

from deployments.lifecycle.bundle_cache import BundleCache
from training.runtime.artifact_server import ArtifactFolder, download_file, download_folder, is_remote, locate
from training.runtime.bounds import MOST_FILES, MOST_MANIFEST_BYTES
from training.runtime.errors import BoundExceeded

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.mark.parametrize(
    ("source", "registry_uri", "expected"),
    [
        ("mlflow-artifacts:/1/a/bundle", "http://mlflow:5000", (f"http://mlflow:5000{ROOT}", "1/a/bundle")),
        (
            "mlflow-artifacts:/1/a",
            "https://host/prefix/",
            (f"https://host/prefix{ROOT}", "1/a"),
        ),
        ("mlflow-artifacts://other:1/1/a", "http://mlflow:5000", (f"http://other:1{ROOT}", "1/a")),
        (f"https://host/p{ROOT}/1/a%20b", "sqlite:///x", (f"https://host/p{ROOT}", "1/a b")),
    ],
)
def test_a_source_is_resolved_as_mlflow_does(
    source: str, registry_uri: str, expected: tuple[str, str]
) -> None:
    assert is_remote(source)
    assert locate(source, registry_uri) == ArtifactFolder(*expected)


@pytest.mark.parametrize("source", ["/var/bundle", "file:///var/bundle", "relative/bundle"])
def test_paths_are_not_asked_of_a_server(source: str) -> None:
    assert not is_remote(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [("mlflow-artifacts:/1/a", "RAYSONDE_REGISTRY_URI"), ("https://host/1/a", "artifact API")],
)
def test_what_cannot_be_located_says_what_is_expected(source: str, message: str) -> None:
    with pytest.raises(OSError, match=message):
        locate(source, "sqlite:///mlflow.db")


def test_a_server_that_is_away_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path, toy_contract(), "http://127.0.0.1:1")
    with pytest.raises(OSError, match="cannot be read"):
        cache.fetch(f"sha256:{'0' * 64}", "mlflow-artifacts:/1/a")
    assert not list(tmp_path.iterdir())


class Answers(ThreadingHTTPServer):
    """A server of one folder that says, and sends, whatever it is given."""

    listed: Any = ()
    body = b""
    encoding = ""
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        listing = json.dumps({"files": self.server.listed}).encode()
        content = listing if "?" in self.path else self.server.body
        self.send_response(200)
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Answers]:
    with Answers(("127.0.0.1", 0), _Handler) as found:
        found.asked = []
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def entry(path: str, size: object = 1) -> dict[str, object]:
    return {"path": path, "is_dir": False, "file_size": size}


@pytest.mark.parametrize(
    ("listed", "error", "message"),
    [
        ([entry("model.onnx", 2**40)], BoundExceeded, r"model\.onnx: has 1,099,511,627,776 bytes"),
        ([entry(f"{n}.json") for n in range(MOST_FILES + 1)], BoundExceeded, "has 33 files"),
        ([entry("a/..")], OSError, r"a file named '\.\.'"),
        ([entry("a\0b")], OSError, "a file named"),
        ([entry("a" * 300_000)], BoundExceeded, "sends more than 262,144 bytes"),
        ([entry("a.json", "many")], OSError, "a list of files that is none"),
        ([entry("a.json", None)], OSError, "a list of files that is none"),
        ([], FileNotFoundError, "got 0 files"),
        ("text", OSError, "a list of files that is none"),
    ],
)
def test_a_folder_that_is_no_bundle_is_not_downloaded(
    server: Answers, tmp_path: Path, listed: object, error: type[Exception], message: str
) -> None:
    server.listed = listed
    with pytest.raises(error, match=message):
        download_folder("mlflow-artifacts:/1/a", address(server), tmp_path / "home")
    assert len(server.asked) == 1, "no file of it was asked for"
    assert not list((tmp_path / "home").iterdir())


def test_a_file_that_is_longer_than_any_may_be_is_left(server: Answers, tmp_path: Path) -> None:
    server.body = bytes(MOST_MANIFEST_BYTES + 1)
    with pytest.raises(BoundExceeded, match=r"manifest\.json: .* sends more than 16,384 bytes"):
        download_file("mlflow-artifacts:/1/a", address(server), "manifest.json", tmp_path)


def test_a_file_that_would_be_unpacked_on_its_way_is_left(server: Answers, tmp_path: Path) -> None:
    server.encoding = "gzip"
    with pytest.raises(OSError, match=r"manifest\.json: is sent as gzip, expected as it is"):
        download_file("mlflow-artifacts:/1/a", address(server), "manifest.json", tmp_path)


def address(server: Answers) -> str:
    return f"http://127.0.0.1:{server.server_port}"
