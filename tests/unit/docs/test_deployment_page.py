"""What docs/deployment.md tells to type and to set is there."""

from __future__ import annotations

import re
import tomllib

import pytest

from scripts.cli.main import COMMANDS
from tests.support.code import is_read
from training.runtime.settings import REPOSITORY

PAGE = (REPOSITORY / "docs" / "deployment.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
COMPOSE = (REPOSITORY / "compose.yaml").read_text()
NAMES = set(re.findall(r"[A-Z_]+", MAKEFILE + COMPOSE + (REPOSITORY / "Containerfile").read_text()))
BLOCK = re.compile(r"(?ms)^```\w*\n(.*?)^```")
TYPED = BLOCK.findall(PAGE) + re.findall(r"`([^`]+)`", BLOCK.sub("", PAGE))


def found(pattern: str) -> list[str]:
    """What the pattern finds in what is to be typed."""
    return sorted({name for text in TYPED for name in re.findall(pattern, text)})


@pytest.mark.parametrize("target", found(r"\bmake ([a-z][a-z-]*)"))
def test_what_is_to_be_made_is_a_target(target: str) -> None:
    assert target in set(re.findall(r"(?m)^([a-z-]+):", MAKEFILE))


@pytest.mark.parametrize("command", found(r"(?m)(?:^|[ \"])raysonde ([a-z]+)\b"))
def test_what_is_to_be_called_is_a_command(command: str) -> None:
    assert command in COMMANDS


def test_versions_are_those_of_the_manifests() -> None:
    script = (REPOSITORY / "kuberay" / "minikube.sh").read_text()
    (operator,) = re.findall(r"OPERATOR_VERSION=([\d.]+)", script)
    assert found(r"kuberay-operator --version ([\d.]+)") == [operator]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert found(r"registry\.example\.com/raysonde:([\d.]+)") == [project["version"]]


@pytest.mark.parametrize("variable", found(r"\b(RAYSONDE_[A-Z_]+)\b"))
def test_what_may_be_set_is_read(variable: str) -> None:
    assert is_read(variable) or variable in set(re.findall(r"\$\{(\w+):-", COMPOSE))


@pytest.mark.parametrize("variable", found(r"\b((?!RAYSONDE)[A-Z_]+)=") + found(r"^([A-Z]+_PORT|PORT)$"))
def test_a_variable_is_one(variable: str) -> None:
    assert variable in NAMES
