"""The rules of compose.yaml: who runs, what may be written, how much, which images, no secrets."""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from features.config import known_workloads
from scripts.cli.main import app
from scripts.launcher.serve_settings import served_workloads
from tests.support.code import is_read
from training.runtime.settings import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "RAYSONDE_IMAGE" in service["image"])
VARIABLES = {
    name for one in OURS for name in SERVICES[one].get("environment", {}) if name.startswith("RAYSONDE_")
}
SECRET = re.compile(r"PASSWORD|KEY|TOKEN|SECRET", re.IGNORECASE)

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def default(text: Any) -> str:
    """With the defaults of what may be chosen: ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


def words(command: str | list[str]) -> list[str]:
    if isinstance(command, str):
        return command.split()
    parts = [default(part) for part in command]
    # of a shell's command what is called in its place
    return shlex.split(parts[2].partition("exec ")[2]) if parts[:2] == ["sh", "-c"] else parts


@each_service
def test_a_service_may_do_little(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert "privileged" not in service


@each_service
def test_a_service_takes_so_much_and_no_more(service: dict[str, Any]) -> None:
    assert 0 < float(default(service["cpus"])) <= 2
    assert re.fullmatch(r"\d+[mg]", default(service["mem_limit"]))
    assert service["pids_limit"] > 0
    assert all("size=" in place for place in service["tmpfs"])


@each_service
def test_a_service_is_reached_from_this_machine_alone(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", default(port))
    assert service.get("network_mode") is None


@each_service
def test_images_of_others_are_pinned(service: dict[str, Any]) -> None:
    host, _, tag = default(service["image"]).rpartition(":")
    ours = host == "localhost/raysonde"
    assert ours or re.fullmatch(r"v?\d+\.\d+[\w.-]*", tag)
    assert ours or host.split("/")[0] == "docker.io"


@each_service
def test_what_a_service_waits_for_can_come(service: dict[str, Any]) -> None:
    for name, wait in (service.get("depends_on") or {}).items():
        other = SERVICES[name]
        if wait["condition"] == "service_healthy":
            assert other.get("healthcheck", {}).get("test") or name in OURS


@each_service
def test_what_is_mounted_is_there(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", []):
        source, target, *how = volume.split(":")
        secret = Path(source).name if source.startswith("./var/secrets/") else None
        if secret or source.startswith("."):
            assert secret in COMPOSE["secrets"] or (REPOSITORY / source).is_dir(), source
            assert how == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
            assert how in ([], ["ro"])
        assert target.startswith("/")


@each_service
def test_secrets_come_as_files(service: dict[str, Any]) -> None:
    assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
    for name, value in (service.get("environment") or {}).items():
        if "/run/secrets/" in str(value):
            assert Path(value).name in service["secrets"]
            assert name.endswith(("_FILE", "_PATH"))
        else:
            assert not SECRET.search(name), f"{name} is no file"
            assert not re.search(r"://[^/]*@", str(value)), f"{name} has a password"


def test_every_secret_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = [REPOSITORY / "scripts" / "compose-secrets", folder]
    subprocess.run(make, check=True)
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert {name: {"file": f"./var/secrets/{name}"} for name in files} == COMPOSE["secrets"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = {name: text for name, text in files.items() if not name.startswith("alertmanager")}
    assert len(set(made.values())) == len(made)
    assert {files[name] for name in files.keys() - made.keys()} == {""}
    password = files["postgres_password"]
    assert len(password) == 48
    assert files["store_url"] == f"postgresql+psycopg://raysonde:{password}@postgres:5432/raysonde"
    assert files["mlflow_url"] == f"postgresql+psycopg://raysonde:{password}@postgres:5432/mlflow"
    subprocess.run(make, check=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


@pytest.mark.parametrize("name", OURS)
def test_a_command_of_ours_is_one(name: str) -> None:
    called = words(SERVICES[name]["command"])
    if "mlflow" in called:
        return
    assert called[0] == "raysonde"
    command, rest = typer.main.get_command(app), called[1:]
    while isinstance(command, TyperGroup):
        _, found, rest = command.resolve_command(command.context_class(command), rest)
        assert found is not None
        command = found
    command.make_context(name, rest)


def test_all_that_is_served_is_trained_before() -> None:
    text = (REPOSITORY / "serve_config.yaml").read_text()
    served = served_workloads(text, known_workloads(REPOSITORY / "configs" / "workloads"))
    _, _, _, *trained = words(SERVICES["train"]["command"])
    assert trained == served
    assert default(SERVICES["head"]["environment"]["NAMES"]).split() == served


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_variables_of_our_services_are_read(name: str) -> None:
    assert is_read(name)
