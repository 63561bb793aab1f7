"""Links lead somewhere, every page is found from the index, and every path that a page names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.page import DOCS, PAGES, anchors_of, links_of, prose_of
from training.runtime.settings import REPOSITORY

INDEX = DOCS / "index.md"
FOLDERS = "deployments|training|features|scripts|tests|configs|kuberay|docs"
NAMED_PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)`")
MODULE_FILE = re.compile(r"`(\w+\.py)`")


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        assert link.path.exists(), f"{name(page)} links to {link.path}"
        assert not link.anchor or link.anchor in anchors_of(link.path), f"{link.path}#{link.anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [link.path for link in links_of(page) if link.path.suffix == ".md"]
    assert set(DOCS.rglob("*.md")) - reached == set()


def test_the_readme_leads_to_the_index() -> None:
    assert INDEX in {link.path for link in links_of(REPOSITORY / "README.md")}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_named_files_are_there(page: Path) -> None:
    text = prose_of(page)
    missing = [path for path in NAMED_PATH.findall(text) if not (REPOSITORY / path).exists()]
    assert missing == []
    missing = [file for file in MODULE_FILE.findall(text) if not _files_named(file)]
    assert missing == []


def test_pictures_are_there_and_shown() -> None:
    shown = {link.path for page in PAGES for link in links_of(page)}
    assert set(DOCS.rglob("*.png")) <= shown


def test_decisions_are_numbered_and_complete() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(len(records)))
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
        assert headings == ["Context", "Tried and measured", "Decision", "Consequences"], record.name


def _files_named(file: str) -> list[Path]:
    packages = ("deployments", "training", "features", "scripts", "tests", "configs")
    return [path for package in packages for path in (REPOSITORY / package).rglob(file)]
