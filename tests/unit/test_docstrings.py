"""Docstrings begin with a noun or an imperative: ruff's D401 checks functions, these tests all."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from training.runtime.settings import REPOSITORY

# Relative clauses, and fragments that leave their noun to the name.
FIRST_WORDS = {
    *("what", "whether", "how", "where", "which", "who", "whose", "when", "why", "that"),
    *("of", "as", "for", "to", "by", "from", "with", "at", "on", "in", "until", "not"),
    *("those", "they", "it", "its", "one", "all", "both", "see"),
}
FOLDERS = ("deployments", "features", "scripts", "training", "tests/faults")


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
    found = {str(path): found for path in files if (found := fragments((REPOSITORY / path).read_text()))}
    assert found == {}


def test_a_fragment_is_found() -> None:
    text = '"""A module."""\nclass One:\n    """Of one replica."""\n\ndef two():\n    """Return two."""\n'
    assert fragments(text) == [("One", "Of one replica.")]
