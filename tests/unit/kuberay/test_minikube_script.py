"""kuberay/minikube.sh, with stand-ins for the programs that it calls."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deployments.requests.parser import InstanceParser
from features.config import load_contract
from tests.support.manifests import KUBERAY
from training.runtime.settings import REPOSITORY

SCRIPT = KUBERAY / "minikube.sh"
TOOLS = ("minikube", "kubectl", "helm", "docker", "make")
# what the script asks before it goes on
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
    *"get secret raysonde-api --output jsonpath={.data.key}") printf a2V5 ;;
    *"get secret raysonde-ray --output jsonpath={.data.auth_token}") printf dG9rZW4= ;;
    *"get secret"*|*" status") exit 1 ;;
    *jobDeploymentStatus*) echo "${BOOTSTRAP:-Complete}" ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).write_text(STAND_IN)
        (tmp_path / "bin" / tool).chmod(0o755)
    return tmp_path / "calls"


def run(calls: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{calls.parent / 'bin'}:/usr/bin:/bin"
    environment = {"PATH": path, "CALLS": str(calls), "TMPDIR": str(calls.parent)} | variables
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


def positions(calls: Path, *patterns: str) -> list[int]:
    lines = calls.read_text().splitlines()
    return [next(i for i, line in enumerate(lines) if re.search(one, line)) for one in patterns]


def test_help_has_examples(calls: Path) -> None:
    done = run(calls, "--help")
    assert done.returncode == 0
    assert "kuberay/minikube.sh up\n" in done.stdout
    assert run(calls, "fly").returncode == 2


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "sed", "dirname"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(
        [SCRIPT, "up"], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not installed: minikube kubectl helm" in done.stderr


def test_up_does_things_in_their_order(calls: Path) -> None:
    done = run(calls, "up")
    assert done.returncode == 0, done.stderr
    order = positions(
        calls,
        r"minikube .* start .*--cni calico",
        r"make .*image ENGINE=docker IMAGE=docker.io/library/raysonde:0\.1\.0",
        r"minikube .*image load",
        r"helm .*kuberay-operator .*--version 1\.7\.0",
        r"kubectl .*apply .*namespace.yaml",
        r"create secret generic raysonde-database",
        r"kubectl .*apply .*--kustomize .*overlays/minikube",
        r"rollout status deployment/raysonde-mlflow",
        r"get rayjob raysonde-bootstrap",
        r"wait rayservice/raysonde --for=condition=Ready",
    )
    assert order == sorted(order)
    assert "prometheus" not in calls.read_text()
    assert not list(calls.parent.glob("tmp.*")), (
        "the image and the key of the certificate are not left behind"
    )


def test_secrets_are_random_and_agree(calls: Path) -> None:
    run(calls, "up")
    first = calls.read_text()
    made = dict(re.findall(r"--from-literal=([\w-]+)=(\S+)", first))
    password = re.search(r"raysonde-database --from-literal=password=([0-9a-f]{64})", first)
    assert password is not None
    assert f":{password[1]}@raysonde-postgres:5432/raysonde" in made["store-url"]
    assert f":{password[1]}@raysonde-postgres:5432/mlflow" in made["registry-url"]
    calls.unlink()
    run(calls, "up")
    assert password[1] not in calls.read_text()


def test_a_training_that_failed_ends_it(calls: Path) -> None:
    done = run(calls, "up", BOOTSTRAP="Failed")
    assert done.returncode == 1
    assert "describe rayjob raysonde-bootstrap" in done.stderr


def test_monitoring_comes_when_asked_for(calls: Path) -> None:
    assert run(calls, "up", "--monitoring").returncode == 0
    order = positions(calls, "kube-prometheus-stack", "kuberay/monitoring", "rayservice/raysonde --for")
    assert order == sorted(order)


def test_key_and_token_are_printed_without_anything_else(calls: Path) -> None:
    assert run(calls, "key").stdout == "key"
    assert run(calls, "token").stdout == "token"


CURL = """#!/bin/sh
echo "curl $*" >> "$CALLS"
case "$*" in
    */info) printf 401 ;;
    */predict) printf "${PREDICT:-200}" ;;
    */feedback) printf 202 ;;
    *) printf 200 ;;
esac
"""


def test_smoke_asks_with_the_key_and_without_it(calls: Path) -> None:
    (calls.parent / "bin" / "curl").write_text(CURL)
    (calls.parent / "bin" / "curl").chmod(0o755)
    done = run(calls, "smoke")
    assert done.returncode == 0, done.stderr
    requests = [line for line in calls.read_text().splitlines() if line.startswith("curl --silent --show")]
    assert ["Bearer key" in line for line in requests] == [False, True, True, True]
    failed = run(calls, "smoke", PREDICT="500")
    assert failed.returncode == 1
    assert "a prediction: got 500, expected 200" in failed.stderr


def test_down_lets_kuberay_clear_up_before_its_redis_goes(calls: Path) -> None:
    assert run(calls, "down").returncode == 0
    order = positions(calls, "delete rayservice/raysonde", "delete namespace raysonde")
    assert order == sorted(order)
    assert "minikube" not in calls.read_text()
    assert run(calls, "down", "--delete").returncode == 0
    positions(calls, r"minikube --profile raysonde delete")


def test_the_smoke_test_asks_what_the_contract_takes() -> None:
    text = SCRIPT.read_text().replace('\\"', '"').replace("$id", "smoke-1")
    instance, truth = re.findall(r'--json "(\{.*?\})"', text, re.DOTALL)
    contract = load_contract(REPOSITORY / "configs" / "workloads", "calories")
    parsed = InstanceParser(contract).parse_instance(instance.encode())
    assert parsed.id == json.loads(truth)["id"]
    assert set(json.loads(truth)["truth"]) == {contract.target.name}


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: scripts/install-test-packages")
    places = [SCRIPT.parent, REPOSITORY / "scripts", REPOSITORY / "scripts" / "haproxy", REPOSITORY / ".ci"]
    scripts = [path for place in places for path in place.iterdir() if path.is_file() and is_shell(path)]
    assert len(scripts) >= 5
    subprocess.run([shellcheck, *map(str, scripts)], check=True, env=dict(os.environ))


def is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        return re.match(rb"#!.*\b(ba)?sh\n", file.readline()) is not None
