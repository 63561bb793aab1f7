"""The line that changes in place."""

from __future__ import annotations

import io

from rich.console import Console

from scripts.host.status_line import StatusLine


def test_there_is_no_line_where_output_is_no_terminal() -> None:
    file = io.StringIO()
    with StatusLine(Console(file=file)) as line:
        assert not line.update("training")
    assert file.getvalue() == ""


def test_a_terminal_shows_the_line_and_then_takes_it_away() -> None:
    file = io.StringIO()
    with StatusLine(Console(file=file, force_terminal=True, width=40)) as line:
        assert line.update("training")
    assert "training" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")  # erases it
