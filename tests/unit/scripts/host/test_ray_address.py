import socket
import sys
from pathlib import Path

import pytest

from scripts.host.ray_address import forget_dead_address


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


def _forget(file: Path) -> None:
    forget_dead_address({"RAY_TMPDIR": str(file.parent.parent)})


def test_address_of_a_ray_that_ended_is_taken_away(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ended:
        address = f"127.0.0.1:{ended.getsockname()[1]}"
    file.write_text(address)
    _forget(file)
    assert not file.exists()


def test_address_of_a_ray_that_runs_stays(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as running:
        file.write_text(f"127.0.0.1:{running.getsockname()[1]}\n")
        _forget(file)
    assert file.exists()


@pytest.mark.parametrize("text", ["", "nowhere", "127.0.0.1:port"])
def test_what_is_no_address_is_taken_away(file: Path, text: str) -> None:
    file.write_text(text)
    _forget(file)
    assert not file.exists()


def test_it_lies_where_ray_puts_it(file: Path) -> None:
    file.write_text("")
    folder = str(file.parent.parent)
    forget_dead_address({"RAY_TMPDIR": "/nowhere", "TMPDIR": folder})
    assert file.exists()
    forget_dead_address({"TMPDIR": folder})
    assert file.exists() == (sys.platform != "linux")


def test_where_nothing_is_written_nothing_is_done(file: Path) -> None:
    _forget(file)
    assert not file.exists()
