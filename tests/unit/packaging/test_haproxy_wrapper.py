"""What our HAProxy changes of Serve's configuration, on Serve's own template."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest

from training.runtime.settings import REPOSITORY

WRAPPER = REPOSITORY / "scripts" / "haproxy-wrapper"
SERVED = """global
    stats socket /tmp/haproxy-serve/admin.sock mode 666 level admin
defaults
    mode http
    errorfile 503 /tmp/x.http
frontend prometheus
    bind :9101
    mode http
    no log
frontend http_frontend
    bind 0.0.0.0:8000
    log global
    log /tmp/metrics.sock len 8192 format rfc5424 local1 debug
    log-format-sd "%{+Q,+E}o [serve@1 app=%[var(txn.serve_app)]]"
backend b
    log global
    server r1 10.0.0.1:30000 check
    server fallback 127.0.0.1:8500 check backup
listen stats
    bind *:8404
"""


@pytest.fixture
def corrected(tmp_path: Path) -> dict[str, str]:
    """The configuration as HAProxy gets it, by who may read its metrics."""
    return {host: _corrected(tmp_path, RAYSONDE_HAPROXY_METRICS_HOST=host) for host in ("", "*")}


def _corrected(folder: Path, **variables: str) -> str:
    config = folder / "haproxy.cfg"
    config.write_text(SERVED)
    environment = os.environ | {"RAYSONDE_HAPROXY": "/bin/true"} | variables
    subprocess.run([WRAPPER, "-db", "-f", config], env=environment, check=True)
    return config.read_text()


def test_metrics_are_for_this_machine_by_default(corrected: dict[str, str]) -> None:
    assert "    bind 127.0.0.1:9101\n" in corrected[""]
    assert "    bind *:9101\n" in corrected["*"]


@pytest.mark.parametrize("host", ["", "*"])
def test_nobody_else_reads_the_status_page_or_gives_commands(corrected: dict[str, str], host: str) -> None:
    assert "    bind 127.0.0.1:8404\n" in corrected[host]
    assert "admin.sock mode 600 level admin" in corrected[host]
    assert "    bind 0.0.0.0:8000 proto h1\n" in corrected[host]


def test_replicas_get_no_more_than_they_answer_soon(corrected: dict[str, str]) -> None:
    assert "server r1 10.0.0.1:30000 check maxconn 128\n" in corrected[""]
    assert "server fallback 127.0.0.1:8500 check backup\n" in corrected[""]
    assert "defaults\n    timeout queue 2s\n" in corrected[""]
    assert f"errorfile 503 {REPOSITORY}/scripts/haproxy/503.http\n" in corrected[""]


def test_a_line_for_each_request_is_sent_only_where_it_is_asked_for(tmp_path: Path) -> None:
    usual = _corrected(tmp_path)
    assert "    no log\n    log stdout format raw local0 err\n" in usual
    assert "set-log-level silent\n" in usual
    assert "rfc5424" not in usual
    assert "log-format-sd" not in usual
    config = _corrected(tmp_path, RAYSONDE_HAPROXY_REQUEST_LINES="1")
    assert "    log stdout format raw local0 err\n" in config
    assert config.count("set-log-level silent\n") == 0
    frontend = config[config.index("frontend http_frontend") :]
    assert all(line in frontend.splitlines() for line in SERVED.splitlines()[11:14])
    assert "    no log" not in frontend.splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "frontend prometheus\n    bind :{{",
        "listen stats\n  bind *:{{",
        "stats socket ",
        " mode 666 ",
        "frontend http_frontend\n",
        "\n    log global\n",
        " format rfc5424 ",
        "\n    log-format-sd ",
        "\n    acl is_{{ backend.name or 'unknown' }} path {{ backend.path_prefix or '/' }}\n",
        "\n    use_backend {{",
        "\n    maxconn {{ config.maxconn }}\n",
        "\nfrontend prometheus\n",
    ],
)
def test_serves_template_still_has_the_lines(line: str) -> None:
    (template,) = (file for file in files("ray") or () if file.name == "haproxy_templates.py")
    assert line in template.read_text()
