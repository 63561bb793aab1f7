from pathlib import Path

import pytest

from scripts.benchmarks.scaling.autogroups import are_on


@pytest.mark.parametrize(("content", "expected"), [("1\n", True), ("0\n", False), (None, False)])
def test_they_are_on_where_the_kernel_says_so(tmp_path: Path, content: str | None, expected: bool) -> None:
    file = tmp_path / "sched_autogroup_enabled"
    if content is not None:
        file.write_text(content)
    assert are_on(file) is expected
