"""A database of PostgreSQL in another encoding than UTF-8 is refused in words, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from deployments.store import Store, StoreEncoding
from features.config import BUILT_IN
from scripts.cli.store import app
from scripts.launcher.start import needs_training
from tests.support.databases import PostgresDatabases, one_of
from tests.support.postgres import Cluster
from tests.support.records import row
from training.runtime.settings import Settings


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def other_url(cluster: Cluster, encoding: str) -> Iterator[str]:
    """A database as Debian's makes it without a locale, with a password in its URL that nobody asks for."""
    name = f"in_{encoding.lower()}"
    cluster.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    yield cluster.url(name).replace("@/", ":se-cret@/")
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_error_says_what_it_is_and_what_to_do(other_url: str, encoding: str) -> None:
    with closing(Store(other_url)) as store:
        for use in (store.create_tables, store.inventory, lambda: store.write_predictions([row(1)])):
            with pytest.raises(StoreEncoding) as refused:
                use()
    message = str(refused.value)
    assert f"has the encoding {encoding}, expected UTF8" in message
    assert other_url.replace("se-cret", "***") in message
    assert "CREATE DATABASE raysonde ENCODING 'UTF8' TEMPLATE template0" in message
    assert "se-cret" not in message


def test_a_start_and_the_command_say_it(
    other_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYSONDE_STORE_URL", other_url)
    done = CliRunner().invoke(app, ["upgrade"])
    assert done.exit_code == 1
    assert done.output.startswith("no: store: the database at ")
    with pytest.raises(typer.Exit):
        needs_training(
            Console(), Settings(tmp_path, BUILT_IN, "postgresql://host/mlflow", other_url), "apogee"
        )
    assert "cannot start: store: the database at " in capsys.readouterr().out


def test_what_is_advised_helps(cluster: Cluster) -> None:
    cluster.execute("CREATE DATABASE raysonde ENCODING 'UTF8' TEMPLATE template0")
    try:
        with closing(Store(cluster.url("raysonde"))) as store:
            assert store.create_tables() is True
    finally:
        cluster.execute("DROP DATABASE raysonde WITH (FORCE)")


def test_a_client_with_another_encoding_gets_text(
    postgres_databases: PostgresDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    with one_of(postgres_databases) as url, closing(Store(url)) as store:
        store.write_predictions([row(1)])
        assert [one.id for _, one in store.predictions("apogee")] == ["1"]
