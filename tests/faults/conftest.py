"""The selection of stages and victims, and the table of results."""

from __future__ import annotations

import pytest

from scripts.replay.text_tables import TextTable
from tests.faults.cells import STAGES, VICTIMS, stage_name

HEADER = (
    *("stage", "killed", "at s", "back after s", "healed at s"),
    *("lost answers", "failed requests", "failed calls with truths"),
)
ROWS: pytest.StashKey[list[tuple[str, ...]]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    names = [stage.name for stage in STAGES]
    parser.addoption("--stage", type=stage_name, choices=names, help="only this one")
    parser.addoption("--soak-minutes", type=float, default=10.0, help="how long the soak takes")
    parser.addoption("--victim", choices=VICTIMS, help="only this one, at the stages that have it")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stage" in metafunc.fixturenames:
        only, victim = metafunc.config.getoption("--stage"), metafunc.config.getoption("--victim")
        chosen = [
            one for one in STAGES if only in (None, one.name) and (victim is None or victim in one.victims)
        ]
        metafunc.parametrize("stage", chosen, ids=[one.name for one in chosen])


@pytest.fixture
def victims(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The parts to kill, of those that a stage has."""
    only = request.config.getoption("--victim")
    return (only,) if only else VICTIMS


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list[tuple[str, ...]]:
    """The rows of the table at the end."""
    return request.config.stash[ROWS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    killed = config.stash[ROWS]
    if killed:
        table = TextTable("What was killed", HEADER, tuple(killed))
        terminalreporter.write_line(f"\n{table.markdown()}")
