"""docs/tutorial/first-hour.md, word for word, as far as one running system goes: prediction and truth."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.support.page import DOCS, block_with, blocks_of
from tests.support.system import RunningSystem, wait_until
from training.runtime.settings import REPOSITORY

pytestmark = pytest.mark.integration

BLOCKS = blocks_of(DOCS / "tutorial" / "first-hour.md")
BEGIN = block_with(BLOCKS, "export PATH=")


def run(system: RunningSystem, command: str) -> str:
    """What a command of the page prints, after the lines that make the rest shorter."""
    text = f"{BEGIN}\n{command}".replace("http://127.0.0.1:8000", system.url)
    folder = system.settings.var.parent
    return subprocess.run(
        ["bash", "-euc", text], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_saved_example_is_shown_and_answered(system: RunningSystem) -> None:
    lines = run(system, block_with(BLOCKS, "cat var/examples/apogee.json"))
    answer = json.loads(lines[lines.index('{"id"') :])
    assert answer["fallback"] is False
    assert set(answer["interval"]) == set(answer["prediction"]) == {"apogee_m"}


def test_an_arm_that_is_named_answers(system: RunningSystem) -> None:
    (command,) = [block.text for block in BLOCKS if "Raysonde-Arm: linear" in block.text]
    assert json.loads(run(system, command))["arm"] == "linear"


def test_the_truth_is_accepted_and_shown_by_the_monitor(system: RunningSystem) -> None:
    answer = json.loads(run(system, block_with(BLOCKS, "python3 -c")))
    assert answer["id"] == "my-flight-1"
    assert json.loads(run(system, block_with(BLOCKS, "curl -s $URL/apogee/feedback"))) == json.loads(
        block_with(BLOCKS, '{"accepted"')
    )
    monitor = block_with(BLOCKS, "curl -s $URL/apogee/monitor")
    wait_until(lambda: "windows" in run(system, monitor), 60, "the Monitor has evaluated")


def test_its_other_commands_are_those_of_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for command in ("make up", "raysonde demo heal"):
        assert any(re.match(command, block.text) for block in BLOCKS)
        assert command in readme
