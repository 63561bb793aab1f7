"""The reference pages that are made from the code are fresh, and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from scripts.cli.main import COMMANDS, app
from scripts.rendering import environment_page, reference_pages
from scripts.rendering.files import stale
from scripts.rendering.workload_file_page import SECTIONS, Section
from tests.support.page import DOCS
from training.runtime.environment import Environment
from training.runtime.settings import REPOSITORY

REFERENCE = DOCS / "reference"


def rendered() -> dict[Path, str]:
    return dict(reference_pages.reference_files(REPOSITORY, typer.main.get_group(app)))


def test_pages_are_fresh() -> None:
    assert stale(rendered()) == [], f"`{reference_pages.COMMAND}` writes them again"


def test_the_width_of_a_terminal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rendered()
    for columns in ("20", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("TERMINAL_WIDTH", columns)
        assert rendered() == expected


def test_every_command_has_its_part() -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert re.findall(r"^## raysonde (\w+)$", text, re.MULTILINE) == list(COMMANDS)
    assert str(REPOSITORY) not in text
    assert re.findall(r"^### raysonde (\w+ \w+)$", text, re.MULTILINE)[:2] == ["node head", "node worker"]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section.path} {section.form}".strip())
def test_every_key_of_a_workload_file_is_described(section: Section) -> None:
    undescribed = [key for key, field in section.model.model_fields.items() if not field.description]
    assert undescribed == []


def test_the_sections_of_a_workload_file_are_those_of_the_built_in_ones() -> None:
    named = {section.path for section in SECTIONS if "." not in section.path}
    files = [path.read_text() for path in (REPOSITORY / "configs" / "workloads").glob("*.yaml")]
    used = {key for text in files for key in re.findall(r"^(\w+):", text, re.MULTILINE)}
    assert used <= named
    assert {"retraining", "promotion"} <= named


def test_every_section_of_a_model_has_a_table() -> None:
    models = {section.model for section in SECTIONS}
    for section in SECTIONS:
        for name, field in section.model.model_fields.items():
            nested = field.annotation
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                assert nested in models, f"{section.path}.{name}"


def test_the_page_lists_every_variable_with_raysondes_own_first() -> None:
    rows = environment_page.markdown().splitlines()[2:]
    names = [re.match(r"\| `(\w+)` ", row) for row in rows]
    listed = [name[1] for name in names if name]
    assert sorted(listed) == sorted(variable.name for variable in Environment.variables())
    own = [variable.name for variable in environment_page.variables()]
    assert listed[: len(own)] == own
