"""What is read from the environment is read in one place, and says what is wrong with it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.runtime.environment import BadEnvironment, Environment
from training.runtime.settings import REPOSITORY

PACKAGES = ("features", "training", "deployments", "scripts")
# Those that write variables for libraries and children, or pass all of them on to a child.
WRITERS = {
    "deployments/monitoring/report_process.py",
    "scripts/benchmarks/bench/server.py",
    "scripts/cli/node.py",
    "scripts/demo/workspace.py",
    "scripts/host/cpus.py",
    "scripts/launcher/node_start.py",
    "scripts/launcher/serve_child.py",
    "scripts/launcher/start_plan.py",
    "scripts/launcher/user_workloads.py",
    "training/registry/listing.py",  # whether MLflow alone knows how to ask
    "training/registry/models.py",
    "training/search/data_parallel.py",
    "training/search/tune.py",
}
# Run in an environment of their own, which has nothing of raysonde.
ELSEWHERE = "scripts/benchmarks/bench/contenders/"
# Marks that processes of one start give to each other, and no user sets.
INTERNAL = {
    *("RAYSONDE_RUN_ID", "RAYSONDE_PROFILE"),
    # from the wrapper to HAProxy and to its guard
    *("RAYSONDE_KEY_SHA256", "RAYSONDE_HAPROXY_CONFIG"),
}


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            yield path.relative_to(REPOSITORY).as_posix(), path.read_text()


def touches_environment(text: str) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    return any(
        (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in names
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(alias.name in names for alias in node.names)
        )
        for node in ast.walk(ast.parse(text))
    )


def test_no_other_module_reads_the_environment() -> None:
    found = {name for name, text in sources() if not name.startswith(ELSEWHERE) and touches_environment(text)}
    assert found == WRITERS | {"training/runtime/environment.py"}


@pytest.mark.parametrize("text", ["os.environ.get('A')", "x = os.getenv('A')", "from os import environ"])
def test_a_reading_is_found(text: str) -> None:
    assert touches_environment(text)
    assert not touches_environment("process.environ()")


def test_every_variable_that_the_code_names_is_described() -> None:
    named = {found for _, text in sources() for found in re.findall(r'"(RAYSONDE_[A-Z0-9_]+)"', text)}
    wrapper = (REPOSITORY / "scripts" / "haproxy-wrapper").read_text()
    named |= set(re.findall(r"RAYSONDE_[A-Z0-9_]+", wrapper))
    described = {variable.name for variable in Environment.variables() if variable.owner == "raysonde"}
    assert named - INTERNAL == described


def test_every_variable_has_a_type_a_default_and_a_meaning() -> None:
    variables = Environment.variables()
    assert all(variable.type and variable.default and variable.description for variable in variables)
    assert len({variable.name for variable in variables}) == len(Environment.model_fields)
    found = {variable.name: variable for variable in variables}
    assert found["RAYSONDE_URL"].default == "http://127.0.0.1:8000"
    assert found["RAYSONDE_STORE_URL"].default == "sqlite:///VAR/store.db"
    assert (found["RAYSONDE_VAR"].type, found["RAYSONDE_API_KEY"].type) == ("path", "secret")
    assert {variable.owner for variable in variables} == {
        "raysonde",
        "Ray",
        "OpenTelemetry",
        "MLflow",
        "the system",
    }


def test_the_environment_of_this_process_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_URL", "http://there:1")
    assert Environment.read().url == "http://there:1"
    monkeypatch.delenv("RAYSONDE_URL")
    assert Environment.read().url == "http://127.0.0.1:8000"


def test_an_environment_at_hand_is_read_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_CPUS", "7")
    assert Environment.of({}).cpus == ""
    assert Environment.of({"RAYSONDE_CPUS": "3", "PATH": "/bin"}).cpus == "3"
    assert Environment.of({"raysonde_cpus": "3"}).cpus == ""


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    names = [variable.name for variable in Environment.variables()]
    assert Environment.of(dict.fromkeys(names, "")) == Environment.of({})


@pytest.mark.parametrize(
    ("port", "expected"),
    [("x", "a valid integer"), ("0", "greater than or equal to 1"), ("65536", "less than or equal to 65535")],
)
def test_an_error_names_variable_value_and_expectation(port: str, expected: str) -> None:
    with pytest.raises(
        BadEnvironment, match=f"RAY_SERVE_HAPROXY_METRICS_PORT: got '{port}', expected {expected}"
    ):
        Environment.of({"RAY_SERVE_HAPROXY_METRICS_PORT": port})
    assert Environment.of({"RAY_SERVE_HAPROXY_METRICS_PORT": "65535"}).ray_serve_haproxy_metrics_port == 65535


def test_secrets_do_not_show() -> None:
    secrets = {variable.name: "s3cret" for variable in Environment.variables() if variable.type == "secret"}
    assert set(secrets) == {
        "RAYSONDE_STORE_URL",
        "RAYSONDE_REGISTRY_URI",
        "RAYSONDE_API_KEY",
        "RAY_AUTH_TOKEN",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
    }
    environment = Environment.of(secrets)
    assert "s3cret" not in repr(environment) + str(environment)
    assert environment.api_key.get_secret_value() == "s3cret"


def test_where_things_are_is_imported_without_pydantic_settings(tmp_path: Path) -> None:
    code = "import sys, training.runtime.settings; print('pydantic_settings' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
