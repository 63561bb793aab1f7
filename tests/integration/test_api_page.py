"""docs/reference/api.md: every command that changes no models is run as it stands there.

Problem documents are those of the page to the word; other answers have its members, of its types.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.page import Block, blocks_of
from tests.support.system import RunningSystem, wait_until
from training.runtime.settings import REPOSITORY

pytestmark = pytest.mark.integration

# what a page leaves out of an object
REST = "..."
BLOCKS = blocks_of(REPOSITORY / "docs" / "reference" / "api.md")
BEGIN, *COMMANDS = [number for number, block in enumerate(BLOCKS) if block.language == "bash"]


@pytest.fixture(scope="module", autouse=True)
def _as_it_was(system: RunningSystem) -> Iterator[None]:
    with system.client() as client:
        wait_until(lambda: client.get("/monitor").status_code == 200, 60, "the Monitor has looked")
        policy = client.get("/traffic").json()["policy"]
        yield
        client.put("/traffic", json=policy).raise_for_status()


@pytest.mark.parametrize("number", COMMANDS, ids=lambda number: f"block {number}")
def test_a_command_of_the_page_is_answered_as_there(system: RunningSystem, number: int) -> None:
    answer = run(system, BLOCKS[number].text)
    documented = after(number)
    if documented is not None:
        assert_alike(json.loads(documented.text), answer, "")
    else:
        # of a list or a page that is only described
        assert not (isinstance(answer, dict) and "title" in answer and "status" in answer), answer


def test_what_changes_models_is_described_as_it_is(system: RunningSystem) -> None:
    """The commands that the test does not run; their paths are checked against the API."""
    with system.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    commands = "\n".join(block.text for block in BLOCKS if block.language == "sh")
    for path in ("/retrain", "/arms/{arm}/promote", "/arms/{arm}/rollback"):
        assert "post" in paths[path]
        assert path.replace("{arm}", "mlp") in commands


def run(system: RunningSystem, command: str) -> Any:
    """What the page's first block and the command print, as JSON; None if it writes a file."""
    text = f"{BLOCKS[BEGIN].text}\n{command}".replace("http://127.0.0.1:8000", system.url)
    folder = system.settings.var.parent
    done = subprocess.run(
        ["bash", "-euc", text], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout) if done.stdout else None


def after(number: int) -> Block | None:
    """The JSON that follows the block, if it is its answer."""
    following = BLOCKS[number + 1] if number + 1 < len(BLOCKS) else None
    return following if following is not None and following.language == "json" else None


def assert_alike(documented: Any, answer: Any, at: str) -> None:
    """Problem documents are equal; all else has the same members, of the same types."""
    if isinstance(documented, dict):
        assert isinstance(answer, dict), at
        if "urn:problem-type" in str(documented.get("type")):
            assert answer == documented
            return
        missing = documented.keys() - answer.keys() - {REST}
        assert not missing, f"{at}: the page has {missing} too"
        assert REST in documented or documented.keys() == answer.keys(), at
        for key in documented.keys() - {REST}:
            assert_alike(documented[key], answer[key], f"{at}.{key}")
    elif isinstance(documented, list):
        assert isinstance(answer, list), at
        for place, (one, other) in enumerate(zip(documented, answer, strict=True)):
            assert_alike(one, other, f"{at}[{place}]")
    elif documented is not None and answer is not None:  # null stands for what is not there yet
        assert _kind(documented) is _kind(answer), f"{at}: {documented!r} on the page, {answer!r} here"


def _kind(value: Any) -> type:
    """JSON has one kind of numbers."""
    return float if type(value) is int else type(value)
