"""What README, tutorial and how-to pages name to be typed and set is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts.cli.main import COMMANDS
from tests.support.code import is_read
from tests.support.page import DOCS
from training.runtime.settings import REPOSITORY

PAGES = [
    *REPOSITORY.glob("*.md"),
    *(
        page
        for folder in ("tutorial", "how-to", "reference", "explanation")
        for page in (DOCS / folder).glob("*.md")
    ),
]
DEPLOYMENT = [page for page in PAGES if page.name.startswith("deploy-")]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
COMPOSE = (REPOSITORY / "compose.yaml").read_text()
NAMES = set(re.findall(r"[A-Z_]+", MAKEFILE + COMPOSE + (REPOSITORY / "Containerfile").read_text()))
BLOCK = re.compile(r"(?ms)^```\w*\n(.*?)^```")
GRAFANA = "".join(path.read_text() for path in (REPOSITORY / "configs" / "grafana").rglob("*.yml"))


def typed(pages: Iterable[Path]) -> list[str]:
    """Return what the pages have as code: blocks, and words in backquotes."""
    texts = [page.read_text() for page in pages]
    return [
        code
        for text in texts
        for code in BLOCK.findall(text) + re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    ]


def found(pattern: str, pages: Iterable[Path] = PAGES) -> list[str]:
    """Return what the pattern finds in the code on the pages."""
    return sorted({name for code in typed(pages) for name in re.findall(pattern, code)})


@pytest.mark.parametrize("target", found(r"\bmake ([a-z][a-z-]*)"))
def test_what_is_to_be_made_is_a_target(target: str) -> None:
    assert target in set(re.findall(r"(?m)^([a-z-]+):", MAKEFILE))


@pytest.mark.parametrize("command", found(r"(?m)(?<!namespace)(?:^|[ \"/])raysonde ([a-z]+)\b"))
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
    assert (
        is_read(variable) or variable in set(re.findall(r"\$\{(\w+):-", COMPOSE)) or f"${variable}" in GRAFANA
    )


@pytest.mark.parametrize(
    "variable", found(r"\b((?!RAYSONDE)[A-Z_]+)=", DEPLOYMENT) + found(r"^([A-Z]+_PORT|PORT)$")
)
def test_a_variable_is_one(variable: str) -> None:
    assert variable in NAMES
