"""`raysonde store`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import typer
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner, Result

from deployments.store import Store
from deployments.store.migrations.upgrade import REVISION_TABLE, REVISIONS
from deployments.store.sql.engine import writing
from features.config import BUILT_IN
from scripts.cli.store import app
from scripts.launcher.start import needs_training
from tests.support.records import row
from training.runtime.settings import Settings, without_password

NEWEST = REVISIONS[-1]


@pytest.fixture
def url(store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RAYSONDE_STORE_URL", store_url)
    return store_url


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, words, input=answer)


def set_revision(url: str, revision: str) -> None:
    with closing(Store(url)) as store, writing(store.engine) as connection:
        connection.execute(text(f"UPDATE {REVISION_TABLE} SET version_num = '{revision}'"))


def test_status_shows_revision_rows_and_size(url: str) -> None:
    with closing(Store(url)) as store:
        store.write_predictions([row(n) for n in range(1200)])
    done = run("status")
    assert done.exit_code == 0, done.output
    assert f"revision {NEWEST}, which is that of this version" in done.output
    lines = dict(line.split() for line in done.output.splitlines() if len(line.split()) == 2)
    assert (lines["predictions"], lines["truths"]) == ("1,200", "0")
    assert "B" in done.output.split("size")[1].split("\n")[0]


def test_status_shows_what_a_start_will_do_and_does_it_not(url: str) -> None:
    set_revision(url, "0001")
    for _ in range(2):
        assert f"revision 0001; the next start, or `raysonde store upgrade`, brings it to {NEWEST}" in (
            run("status").output
        )
    set_revision(url, "0999")
    assert f"revision 0999: of a later version, while this one knows up to {NEWEST}" in run("status").output


def test_upgrade_makes_what_is_missing_once(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_STORE_URL", empty_url)
    assert run("upgrade").output == f"the store is at revision {NEWEST} now\n"
    assert run("upgrade").output == f"the store is at revision {NEWEST} already\n"
    set_revision(empty_url, "0999")
    refused = run("upgrade")
    assert refused.exit_code == 1
    assert "the store has revision 0999" in refused.output


def test_a_store_that_is_not_there_is_not_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSONDE_STORE_URL", f"sqlite:///{tmp_path}/store.db")
    done = run("status")
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert f"no store at {tmp_path}/store.db" in done.output


def test_a_start_on_a_store_of_a_later_version_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_revision(url, "0999")
    settings = Settings(tmp_path, BUILT_IN, "postgresql://host/mlflow", url)
    with pytest.raises(typer.Exit):
        needs_training(Console(), settings, "apogee")
    assert "cannot start: the store has revision 0999" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://ann:se:cret@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://host/db?password=secret&a=b", "postgresql://host/db?password=***&a=b"),
        ("postgresql+psycopg://ann@host/db", "postgresql+psycopg://ann@host/db"),
        ("sqlite:////var/a:b@c/store.db", "sqlite:////var/a:b@c/store.db"),
    ],
)
def test_a_password_is_not_shown(given: str, shown: str) -> None:
    assert without_password(given) == shown


def test_erase_asks_first_and_tells_how_many_rows_went(url: str) -> None:
    with closing(Store(url)) as store:
        store.write_predictions([row(n) for n in range(3)])
        refused = run("erase", "apogee", "A12", answer="n\n")
        assert refused.exit_code == 1
        assert store.counts("apogee").predictions == 3
        done = run("erase", "apogee", "A12", "--yes")
        assert done.exit_code == 0, done.output
        assert ["predictions", "3"] in [line.split() for line in done.output.splitlines()]
        assert store.counts("apogee").predictions == 0
        assert [act.kind for act in store.audit_events("apogee")] == ["erase"]
