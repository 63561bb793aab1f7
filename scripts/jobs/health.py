"""`python -m scripts.jobs.health [URL]`: a container's check; exit code 0 when all is well.

Without a URL it asks the API, where RAYSONDE_URL says or at port 8000 of this machine, with its key.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence

from training.runtime.environment import Environment
from training.runtime.settings import Settings

_TIMEOUT_S = 8.0


def main(arguments: Sequence[str]) -> int:
    """Ask once; says on stderr what was wrong, and gives the exit code."""
    api = Environment.read().url
    request = urllib.request.Request(arguments[0] if arguments else f"{api}/healthz")
    if not arguments:
        request.add_header("Authorization", f"Bearer {_key()}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return 0
    except OSError as error:
        sys.stderr.write(f"{request.full_url}: {error}\n")
        return 1


def _key() -> str:
    """Without `deployments.http.auth`, which takes longer to import than all else takes."""
    file = Settings.from_environment().api_key_file
    key = Environment.read().api_key.get_secret_value()
    return key or (file.read_text().strip() if file.exists() else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
