"""Every name of ours that a string holds is there: in configs, manifests, commands and the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from training.runtime.settings import REPOSITORY

PACKAGES = ("features", "training", "deployments", "scripts")
_NAME = rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+"
_NAME_IN_STRING = re.compile(
    rf"(?:import_path|policy_function|module|RAY_preload_python_modules|IMPORT_PATH)[\"']?\s*[:=]\s*[\"']?({_NAME}(?::\w+)?)"
)
_STARTED = re.compile(rf"-m[\"',\s]+({_NAME})")
_WHOLE = re.compile(rf"{_NAME}(?::\w+)?")
_WITH_COLON = re.compile(rf"[\"']{_NAME}:\w+[\"']")
_CONFIGS = ("*.yaml", "*.yml", "*.toml", "*.sh", "Makefile", "Containerfile", ".ci/run", "README.md")
_FOLDERS = ("configs", "kuberay", "docs", "scripts")


def _texts() -> Iterator[Path]:
    for pattern in _CONFIGS:
        yield from REPOSITORY.glob(pattern)
        for folder in _FOLDERS:
            yield from (REPOSITORY / folder).rglob(pattern)
    yield from (REPOSITORY / "docs").rglob("*.md")


def _modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (REPOSITORY / package).rglob("*.py")


def _found(pattern: re.Pattern[str]) -> set[str]:
    files = (*_texts(), *_modules())
    return {name for path in files for name in pattern.findall(path.read_text(encoding="utf-8"))}


def _strings() -> set[str]:
    """Return the strings of product code that are a name with a colon: those that are imported by name."""
    found = set()
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        if not _WITH_COLON.search(text):  # most files, which are not worth a parse
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
                found |= {node.value} if _WHOLE.fullmatch(node.value) else set()
    return found


NAMES = sorted(_found(_NAME_IN_STRING) | _strings())
STARTED = sorted(_found(_STARTED))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_string_can_be_imported(name: str) -> None:
    module, _, member = name.partition(":")
    imported = import_module(module)
    assert not member or hasattr(imported, member)


@pytest.mark.parametrize("name", STARTED)
def test_a_module_that_is_started_by_name_is_there(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is None or find_spec(f"{name}.__main__") is not None


def test_names_that_are_known_to_be_in_strings_are_found() -> None:
    assert {
        "deployments.app:build",
        "deployments.root:build",
        "deployments.actors.autoscaling_policy:by_calls_in_flight",
        "deployments.http.proxy_errors:middlewares",
        "deployments.actors.serve_without_pandas",
        "training.sources.rockets",
        "scripts.cli.up:up",
    } <= set(NAMES)
    assert {"scripts.jobs.retrain_job", "scripts.jobs.health", "scripts.launcher.serve_child"} <= set(STARTED)
