"""Where MLflow's artifacts are; the rest is tested against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy.parts import toy_contract

from deployments.lifecycle.bundle_cache import BundleCache
from training.runtime.artifact_server import ArtifactFolder, is_remote, locate

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
