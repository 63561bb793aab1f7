"""A process of Serve does not carry pandas, and can still have it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import deployments.actors.serve_without_pandas
assert "ray.serve" in sys.modules
assert not [name for name in sys.modules if name.split(".")[0] == "pandas"]
import pandas
assert pandas.DataFrame({"a": [1]}).shape == (1, 1)
"""


def test_serve_comes_without_pandas_and_pandas_can_be_imported_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
