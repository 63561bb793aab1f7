"""Pages under docs/ and the README: links lead somewhere, and what the runbook names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.cli.main import COMMANDS
from tests.support.metric_names import known_labels
from training.runtime.settings import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
RUNBOOK = (DOCS / "runbook.md").read_text()
CALLS = set(re.findall(r"`(?:GET|POST|PUT) (/[^`?]+)", (DOCS / "api.md").read_text()))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(((?!https?://)[^)#\s]*)(#([^)\s]+))?\)", page.read_text()):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_metrics_of_the_runbook_are_there() -> None:
    named = set(re.findall(r"\b(?:\w+:)?(?:raysonde|haproxy|ray_serve)_[a-z_]+(?::\w+)?\b", RUNBOOK))
    assert len(named) >= 15
    assert named <= known_labels().keys()


def test_commands_of_the_runbook_are_there() -> None:
    named = set(re.findall(r"(?:^|[` \"])raysonde ([a-z]+)", RUNBOOK, re.MULTILINE))
    assert {"rollback", "retrain", "models", "logs"} <= named <= set(COMMANDS)


def test_what_the_runbook_asks_is_answered() -> None:
    asked = re.findall(r"^ask /weather(/\w+)", RUNBOOK, re.MULTILINE)
    assert len(asked) >= 5
    assert set(asked) <= CALLS
