"""The `raysonde` command."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

from scripts.cli.main import COMMANDS, app


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f" {name} " in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"raysonde {name}" in result.output.split("Usage", 1)[1].split("\n", 1)[1]


@pytest.mark.parametrize("module", sorted({target.split(":")[0] for target in COMMANDS.values()}))
def test_modules_of_commands_import_no_ray(module: str) -> None:
    import_module(module)
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(app, ["fly"]).exit_code == 2
