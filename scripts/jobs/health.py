"""`python -m scripts.jobs.health [URL]`: a container's check; exit code 0 when all is well.

Without a URL it asks the API whether predictions are answered, where RAYSONDE_URL says or at port 8000 of
this machine. That needs no key.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence

from training.runtime.environment import Environment

_TIMEOUT_S = 8.0


def main(arguments: Sequence[str]) -> int:
    """Ask once; says on stderr what was wrong, and gives the exit code."""
    api = Environment.read().url
    request = urllib.request.Request(arguments[0] if arguments else f"{api}/-/ready")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return 0
    except OSError as error:
        sys.stderr.write(f"{request.full_url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
