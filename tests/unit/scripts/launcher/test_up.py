"""The decisions of `raysonde up`: config, environment, stages, the state file, what is shown."""

from __future__ import annotations

import os
import re
import runpy
import stat
import subprocess
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from rich.console import Console

from deployments.domain.errors import Unavailable
from deployments.http.problems import Problem, to_problem
from scripts.host.processes import RUN_ID_VARIABLE
from scripts.launcher.display import StageDisplay, show_ready, write_examples
from scripts.launcher.node_environment import node_environment
from scripts.launcher.profile import Profile
from scripts.launcher.readiness import Stage, StageProbe, readiness_stage
from scripts.launcher.run_state import RunState
from scripts.launcher.serve_settings import (
    ProxyPorts,
    child_environment,
    ray_commands_file,
    read_or_create_ray_token,
    render,
    served_workloads,
)
from scripts.launcher.start_plan import Plan
from training.runtime.settings import REPOSITORY, Settings

KNOWN = ["apogee", "weather"]
CONFIG = """
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - {name: apogee, route_prefix: /apogee, import_path: a:b}
  - {name: weather, route_prefix: /weather, import_path: a:b}
  - {name: root, route_prefix: /, import_path: a:c, args: {workloads: [apogee, weather]}}
"""


def test_the_port_is_replaced_and_the_rest_stays() -> None:
    rendered = yaml.safe_load(render(CONFIG, 8100, KNOWN, KNOWN))
    assert rendered["http_options"] == {"host": "127.0.0.1", "port": 8100}
    assert rendered["applications"] == yaml.safe_load(CONFIG)["applications"]


def test_the_address_is_replaced_where_one_is_given() -> None:
    rendered = yaml.safe_load(render(CONFIG, 8000, KNOWN, KNOWN, "0.0.0.0"))
    assert rendered["http_options"] == {"host": "0.0.0.0", "port": 8000}


def test_only_the_chosen_workloads_are_started_and_known_to_the_root() -> None:
    applications = yaml.safe_load(render(CONFIG, 8000, KNOWN, ["weather"]))["applications"]
    assert [app["name"] for app in applications] == ["weather", "root"]
    assert applications[1]["args"] == {"workloads": ["weather"]}


def test_an_unknown_workload_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="WORKLOADS: got tides, expected some of: apogee weather"):
        render(CONFIG, 8000, KNOWN, ["tides", "apogee"])


def test_the_config_of_the_repository_serves_known_workloads_only() -> None:
    text = (REPOSITORY / "serve_config.yaml").read_text()
    known = [path.stem for path in (REPOSITORY / "configs" / "workloads").glob("*.yaml")]
    assert "apogee" in served_workloads(text, known)
    assert yaml.safe_load(render(text, 8000, known, served_workloads(text, known))) == yaml.safe_load(text)


@pytest.mark.parametrize(("profile", "behind_haproxy"), [(Profile.FAST, True), (Profile.PLAIN, False)])
def test_the_environment_of_a_child(tmp_path: Path, profile: Profile, behind_haproxy: bool) -> None:
    of_another_cluster = {
        "RAY_ADDRESS": "10.0.0.1:6379",
        "RAY_API_SERVER_ADDRESS": "http://10.0.0.1:8265",
        "RAY_AUTH_TOKEN": "theirs",
    }
    base = {"PATH": "/bin"} | of_another_cluster
    environment = child_environment(
        base, run_id="r1", profile=profile, var=tmp_path, ports=ProxyPorts(metrics=1, stats=2, fallback=3)
    )
    assert not set(of_another_cluster) & set(environment)
    assert environment[RUN_ID_VARIABLE] == "r1"
    assert environment["RAYSONDE_PROFILE"] == profile.value
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert (environment["RAY_AUTH_MODE"], environment["PATH"]) == ("token", "/bin")
    assert environment["RAY_worker_niceness"] == "0"
    bounds_ms = [float(bound) for bound in environment["RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS"].split(",")]
    assert sorted(set(bounds_ms)) == bounds_ms
    assert sum(1 <= bound_ms <= 100 for bound_ms in bounds_ms) == 12
    assert ("RAY_SERVE_ENABLE_HA_PROXY" in environment) is behind_haproxy
    assert environment.get("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT") == ("3" if behind_haproxy else None)
    # HAProxy has its own page for what it refuses
    module, _, name = environment.get("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "").partition(":")
    assert (not module) if behind_haproxy else callable(getattr(import_module(module), name))


def test_the_plain_profile_has_no_haproxy_where_an_image_has_one(tmp_path: Path) -> None:
    base = node_environment({}, lambda: "/haproxy")
    ports = ProxyPorts(metrics=1, stats=2, fallback=3)
    environment = child_environment(base, run_id="r1", profile=Profile.PLAIN, var=tmp_path, ports=ports)
    assert base["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert not [name for name in environment if "HAPROXY" in name or "HA_PROXY" in name]
    assert "RAY_SERVE_THROUGHPUT_OPTIMIZED" not in environment


def test_the_config_of_haproxy_is_corrected(tmp_path: Path) -> None:
    """With the template of the Serve that is installed: a later one may say it in other words."""
    ray = find_spec("ray")
    assert ray is not None
    assert ray.origin is not None
    templates = runpy.run_path(str(Path(ray.origin).parent / "serve" / "_private" / "haproxy_templates.py"))
    config = tmp_path / "haproxy.cfg"
    config.write_text(templates["HAPROXY_CONFIG_TEMPLATE"])
    ports = ProxyPorts(metrics=1, stats=2, fallback=3)
    base = dict(os.environ) | {"RAY_SERVE_HAPROXY_BINARY_PATH": "/bin/echo"}
    environment = child_environment(base, run_id="r1", profile=Profile.FAST, var=tmp_path, ports=ports)
    command = [environment["RAY_SERVE_HAPROXY_BINARY_PATH"], "-db", "-f", str(config), "-sf", "12"]
    subprocess.run(command, env=environment, check=True)
    # what HAProxy writes are lines of the log
    assert (tmp_path / "logs" / "front-door.jsonl").read_text().split() == command[1:]
    text = config.read_text()
    assert set(re.findall(r"(?m)^ *bind (.*?):", text)) == {
        "127.0.0.1",
        *("{{ config.frontend_host }}", "{{ config.grpc_frontend_host }}"),
    }
    assert re.findall(r"stats socket .* mode (\d+)", text) == ["600"]
    assert text.count("defaults\n    timeout queue 2s\n") == 1
    servers = re.findall(r"(?m)^ *server .* check.*$", text)
    assert [line.endswith(" maxconn 128") for line in servers] == [" backup" not in line for line in servers]
    (page,) = re.findall(r"errorfile 503 (.+)", text)
    head, body = Path(page).read_bytes().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert f"Content-Length: {len(body)}".encode() in head.splitlines()
    assert b"Retry-After: 1" in head.splitlines()
    problem = Problem.model_validate_json(body)
    ours = to_problem(Unavailable("as said"))
    assert (problem.type, problem.title, problem.status) == (ours.type, ours.title, ours.status)


def test_rays_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    token = read_or_create_ray_token(tmp_path)
    assert len(token) == 64
    assert read_or_create_ray_token(tmp_path) == token
    assert stat.S_IMODE((tmp_path / "ray-token").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("details", "stage"),
    [
        ({}, Stage("Serve is starting")),
        (
            {"applications": {"apogee": {"status": "DEPLOYING", "deployments": {}}}},
            Stage("waiting for apogee is being built"),
        ),
        (
            {
                "applications": {
                    "apogee": {
                        "status": "DEPLOYING",
                        "deployments": {
                            "mlp": {
                                "target_num_replicas": 2,
                                "replicas": [{"state": "RUNNING"}, {"state": "STARTING"}],
                            },
                            "Router": {"target_num_replicas": 1, "replicas": [{"state": "RUNNING"}]},
                        },
                    }
                }
            },
            Stage("waiting for apogee: mlp 1/2"),
        ),
        (
            {
                "applications": {
                    "apogee": {"status": "DEPLOY_FAILED", "message": "Traceback\n\nno model: train one\n"}
                }
            },
            Stage("apogee failed", failure="apogee: no model: train one"),
        ),
    ],
)
def test_stages_follow_from_what_serve_answers(details: dict[str, object], stage: Stage) -> None:
    assert readiness_stage(details) == stage


def _probe(handler: httpx.MockTransport) -> StageProbe:
    client = httpx.Client(transport=handler)
    return StageProbe("http://api", "key", "http://ray", "token", ["apogee"], client)


def test_a_probe_is_ready_when_every_workload_answers() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers["authorization"]))
        return httpx.Response(200)

    assert _probe(httpx.MockTransport(answer)).poll().ready
    assert seen == [("/-/ready", "Bearer key"), ("/apogee/healthz", "Bearer key")]


@pytest.mark.parametrize(
    ("ready", "healthy", "is_ready"),
    [(200, 200, True), (404, 200, True), (503, 200, False), (200, 503, False)],
)
def test_a_probe_believes_the_path_of_readiness(ready: int, healthy: int, is_ready: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api":
            return httpx.Response(ready if request.url.path == "/-/ready" else healthy)
        return httpx.Response(200, json={"applications": {}})

    assert _probe(httpx.MockTransport(answer)).poll().ready is is_ready


def test_a_probe_asks_ray_with_its_own_token_while_a_workload_does_not_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api":
            return httpx.Response(503)
        assert request.headers["authorization"] == "Bearer token"
        return httpx.Response(200, json={"applications": {}})

    assert _probe(httpx.MockTransport(answer)).poll() == Stage("Serve is starting")


def test_a_probe_takes_silence_for_a_ray_that_starts() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert _probe(httpx.MockTransport(refuse)).poll() == Stage("Ray is starting")


def test_a_ray_too_busy_to_answer_leaves_the_stage_as_it_was() -> None:
    answers = iter([httpx.Response(200, json={"applications": {}}), httpx.Response(500)])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if request.url.host == "api" else next(answers)

    probe = _probe(httpx.MockTransport(answer))
    assert [probe.poll(), probe.poll()] == [Stage("Serve is starting")] * 2


def test_the_state_of_a_run_names_its_supervisor(tmp_path: Path) -> None:
    state = RunState.of_this_process("r1", (8000, 8265))
    state.write(tmp_path)
    read = RunState.read(tmp_path)
    assert read == state
    supervisor = state.supervisor()
    assert supervisor is not None
    assert supervisor.pid == os.getpid()
    RunState.forget(tmp_path)
    assert RunState.read(tmp_path) is None


def test_a_pid_that_was_used_again_is_no_supervisor() -> None:
    state = RunState.of_this_process("r1", ())
    later = state.model_copy(update={"supervisor_started_s": psutil.Process().create_time() - 1})
    assert later.supervisor() is None


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    settings = replace(Settings.from_environment(), var=tmp_path)
    return Plan(settings, ("apogee",), CONFIG, 8100, 8365, Profile.FAST, "r1")


def test_no_process_is_started_before_rays_token_is_there(plan: Plan) -> None:
    token = Path(plan.environment()["RAY_AUTH_TOKEN_PATH"]).read_text()
    assert token == read_or_create_ray_token(plan.settings.var)


def test_the_panel_says_where_everything_is(plan: Plan) -> None:
    console = Console(width=300, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with console.file:
        show_ready(console, plan, "secret", {}, 12.3)
        shown = console.export_text()
    assert "ready after 12 s" in shown
    for text in ("http://127.0.0.1:8100", "http://127.0.0.1:8365", "secret", "mlflow ui --backend-store-uri"):
        assert text in shown
    assert "curl -s http://127.0.0.1:8100/apogee/info" in shown


def test_rays_own_commands_find_address_and_token_by_what_is_shown(plan: Plan) -> None:
    plan = replace(plan, settings=replace(plan.settings, var=plan.settings.var / "a folder"))
    plan.settings.var.mkdir()
    token = read_or_create_ray_token(plan.settings.var)
    console = Console(width=40, record=True, file=StringIO())
    show_ready(console, plan, "secret", {}, 12.3)
    (command,) = re.findall(r"Ray's own commands:\n +(.*) && \S*serve status\n", console.export_text())
    names = ("RAY_AUTH_MODE", "RAY_DASHBOARD_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN")
    printed = " ".join(f'"${{{name}-}}"' for name in names)
    shell = f"{command}; printf '%s\\n' {printed}; cat \"$RAY_AUTH_TOKEN_PATH\""
    environment = {"PATH": "/bin:/usr/bin", "RAY_AUTH_TOKEN": "of another system"}
    done = subprocess.run(["sh", "-euc", shell], env=environment, capture_output=True, text=True, check=True)
    url = "http://127.0.0.1:8365"
    assert done.stdout.splitlines() == ["token", url, url, "", token]
    assert token not in ray_commands_file(plan.settings.var).read_text()


def test_examples_are_saved_for_workloads_that_have_one(plan: Plan, apogee: object) -> None:
    written = write_examples(plan)
    for workload, path in written.items():
        assert path.read_text().startswith("{"), workload


def test_stages_are_lines_where_output_is_no_terminal() -> None:
    console = Console(record=True, force_terminal=False, width=80)
    with StageDisplay(console, begun_s=0) as display:
        for text in ("Ray is starting", "Ray is starting", "ready"):
            display.show(text)
    lines = console.export_text().splitlines()
    assert [line.split("s  ")[1] for line in lines] == ["Ray is starting", "ready"]
