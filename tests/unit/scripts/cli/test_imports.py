"""What the command imports to show its help: what takes seconds waits until it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from scripts.cli.main import app

# Everything that Typer needs to draw a page; pydantic, which it can do without there, is not among it.
ALLOWED = {"annotated_doc", "attr", "markdown_it", "mdurl", "pygments", "rich", "shellingham", "typer"}
OWN = ("scripts.cli", "scripts.host.failure", "scripts.launcher.profile")
PROGRAM = """
import contextlib, io, json, sys
from scripts.cli.main import app
pages = json.loads(sys.argv[1])
found, seen = {}, set()
for page in pages:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        app([*page.split(), "--help"], standalone_mode=False)
    assert "Usage" in shown.getvalue(), page
    found[page] = sorted(set(sys.modules) - seen)
    seen |= set(sys.modules)
print(json.dumps(found))
"""


def pages(group: TyperGroup, name: str = "") -> Iterator[str]:
    """Every command and sub-command, the command itself last: its page is a list of all of them."""
    context = group.context_class(group)
    for sub_name in group.list_commands(context):
        full = f"{name} {sub_name}".strip()
        command = group.get_command(context, sub_name)
        assert command is not None
        if isinstance(command, TyperGroup):
            yield from pages(command, full)
        else:
            yield full
    yield name


def root() -> TyperGroup:
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """By page, the modules that it was the first to import."""
    # where the lines are counted that tests run, what counts them is imported too
    environment = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(pages(root())))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_every_command_is_asked() -> None:
    assert {"", "up", "models", "node", "node head", "store status", "demo heal", "render kuberay"} <= set(
        pages(root())
    )


@pytest.mark.parametrize("page", list(pages(root())))
def test_a_page_of_help_imports_no_library_but_those_that_draw_it(
    imported: dict[str, list[str]], page: str
) -> None:
    tops = {name.partition(".")[0] for name in imported[page]}
    libraries = {name for name in tops if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert libraries - {"features", "training", "deployments", "scripts"} <= ALLOWED


@pytest.mark.parametrize("page", list(pages(root())))
def test_a_page_of_help_imports_nothing_of_ours_but_the_command(
    imported: dict[str, list[str]], page: str
) -> None:
    ours = [
        name
        for name in imported[page]
        if name.partition(".")[0] in ("features", "training", "deployments", "scripts")
    ]
    packages = {"scripts", "scripts.host", "scripts.launcher"}
    assert [name for name in ours if name not in packages and not name.startswith(OWN)] == []
    assert "asyncio" not in imported[page]
