"""A drift report from a process of its own, which takes Evidently's 200 MB with it when it ends.

python -m deployments.monitoring.report_process < arrays.npz > report.html
"""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
from numpy.typing import NDArray

from deployments.monitoring.report import make_report

FloatArray = NDArray[np.float64]

TIMEOUT_S = 300.0


class ReportFailed(RuntimeError):
    """The report process ended without a report; the message has the end of its output."""


def report_html(names: tuple[str, ...], reference: FloatArray, current: FloatArray, threshold: float) -> str:
    """Run `make_report` in a process of its own, and return the page.

    Raises:
        ReportFailed: the process ended without a report.
    """
    arrays = io.BytesIO()
    np.savez(arrays, names=np.array(names), reference=reference, current=current, threshold=threshold)
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=arrays.getvalue(),
            capture_output=True,
            # Ray sets the path of its workers by other means than the environment
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise ReportFailed(error.stderr.decode(errors="replace")[-500:]) from error
    except subprocess.TimeoutExpired as error:
        raise ReportFailed(f"no report after {TIMEOUT_S:g} s") from error
    return done.stdout.decode()


def main() -> None:
    """Read arrays from standard input, and write the page to standard output."""
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as arrays:
        names = tuple(arrays["names"].tolist())
        report = make_report(names, arrays["reference"], arrays["current"], float(arrays["threshold"]))
    sys.stdout.buffer.write(report.html.encode())


if __name__ == "__main__":
    main()
