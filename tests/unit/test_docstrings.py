"""Docstrings begin with a noun or an imperative: ruff's D401 checks functions, these tests all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.runtime.settings import REPOSITORY

# Relative clauses, and fragments that leave their noun to the name.
FIRST_WORDS = {
    *("what", "whether", "how", "where", "which", "who", "whose", "when", "why", "that"),
    *("of", "as", "for", "to", "by", "from", "with", "at", "on", "in", "until", "not"),
    *("those", "they", "it", "its", "one", "all", "both", "see"),
}
FOLDERS = (
    *(
        f"deployments/{name}"
        for name in ("actors", "http", "monitoring", "rpc", "runtime", "store", "telemetry")
    ),
    *("scripts/demo", "scripts/rendering/dashboards", "tests/faults"),
)
# To be shortened, as the list in pyproject.toml.
LEFT_OUT = {
    *(f"deployments/actors/{name}.py" for name in ("lifecycle_controller", "router")),
    *(f"deployments/http/{name}.py" for name in ("app", "fast_path")),
    *(f"deployments/store/{name}.py" for name in ("promotions", "retrainings", "routes", "state_rows")),
}


def summaries(text: str) -> Iterator[tuple[str, str]]:
    """Names of the modules, classes and functions of a file, with the first lines of their docstrings."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield getattr(node, "name", "module"), docstring.splitlines()[0]


def fragments(text: str) -> list[tuple[str, str]]:
    return [found for found in summaries(text) if found[1].split()[0].strip("`,.:").lower() in FIRST_WORDS]


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_a_noun_or_an_imperative(folder: str) -> None:
    files = [path.relative_to(REPOSITORY) for path in sorted((REPOSITORY / folder).rglob("*.py"))]
    assert files
    found = {
        str(path): found
        for path in files
        if str(path) not in LEFT_OUT and (found := fragments((REPOSITORY / Path(path)).read_text()))
    }
    assert found == {}


def test_a_fragment_is_found() -> None:
    text = '"""A module."""\nclass One:\n    """Of one replica."""\n\ndef two():\n    """Return two."""\n'
    assert fragments(text) == [("One", "Of one replica.")]
