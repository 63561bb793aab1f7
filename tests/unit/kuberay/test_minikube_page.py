"""docs/how-to/run-on-minikube.md against kuberay/minikube.sh and the manifests that it applies."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.manifests import KUBERAY
from tests.support.page import DOCS, PAGES, blocks_of
from training.runtime.settings import REPOSITORY

PAGE = DOCS / "how-to" / "run-on-minikube.md"
TEXT = PAGE.read_text()
SCRIPT = (KUBERAY / "minikube.sh").read_text()
# a command with its flags, wherever a page names one
CALLS = sorted(
    {call for page in PAGES for call in re.findall(r"minikube\.sh ([a-z]+(?: --[a-z]+)*)", page.read_text())}
)


def test_readme_and_page_name_the_commands() -> None:
    assert {"up", "smoke", "forward", "key", "token", "down", "down --delete"} <= set(CALLS)
    assert "kuberay/minikube.sh up" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("call", CALLS)
def test_a_command_and_its_flags_are_those_of_the_script(call: str) -> None:
    command, *flags = call.split()
    (dispatched,) = re.findall(r"(?m)^ +(up \|.*)\) \"\$@\"", SCRIPT)
    assert command in dispatched.split(" | ")
    (usage,) = re.findall(rf"(?m)^  {command}( \[.*?\])? ", SCRIPT)
    assert set(flags) <= set(usage.strip(" []").split())


def test_the_page_says_which_programs_it_takes() -> None:
    (needed,) = re.findall(r"(?m)^    need (minikube .*)$", SCRIPT)
    missing = [program for program in needed.split() if program not in TEXT.lower()]
    assert not missing


def test_variables_and_their_defaults_are_those_of_the_script() -> None:
    defaults = dict(re.findall(r"\$\{(MINIKUBE_\w+):-(\w+)\}", SCRIPT))
    assert set(re.findall(r"MINIKUBE_\w+", TEXT)) == set(defaults)
    assert f"{defaults['MINIKUBE_CPUS']} CPUs" in TEXT
    assert f"{defaults['MINIKUBE_MEMORY'].removesuffix('g')} GB" in TEXT


def test_addresses_are_those_that_are_forwarded() -> None:
    forwarded = set(re.findall(r"(?m)^    kube port-forward \S+ (\d+):\d+ &$", SCRIPT))
    assert forwarded == {"8000", "8265", "5000"}
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", TEXT)) == forwarded


def test_kubectl_finds_what_the_page_asks_for() -> None:
    calls = [line for block in blocks_of(PAGE) for line in re.findall(r"kubectl .*", block.text)]
    assert calls
    (profile,) = re.findall(r"MINIKUBE_PROFILE:-(\w+)", SCRIPT)
    (namespace,) = re.findall(r"NAMESPACE=(\w+)", SCRIPT)
    for call in calls:
        assert f"--context {profile} --namespace {namespace} " in call
    service = yaml.safe_load((KUBERAY / "base" / "rayservice.yaml").read_text())
    assert f"get rayservice {service['metadata']['name']}" in "\n".join(calls)


def test_two_workloads_are_served_as_the_page_says() -> None:
    overlay = yaml.safe_load((KUBERAY / "overlays" / "minikube" / "kustomization.yaml").read_text())
    ((variable,),) = [one["literals"] for one in overlay["configMapGenerator"]]
    assert len(variable.removeprefix("RAYSONDE_SERVED=").split()) == 2
    assert "Two workloads are served" in TEXT
    served = re.findall(r"127\.0\.0\.1:8000/(\w+)/", TEXT)
    assert set(served) <= set(variable.removeprefix("RAYSONDE_SERVED=").split())


def test_the_token_is_the_one_that_the_cluster_has() -> None:
    cluster = yaml.safe_load((KUBERAY / "base" / "rayservice.yaml").read_text())["spec"]["rayClusterConfig"]
    assert cluster["authOptions"]["mode"] == "token"
    secret = cluster["authOptions"]["secretName"]
    assert f"value {secret} auth_token" in SCRIPT
    assert f'secret {secret} "auth_token=' in SCRIPT
