"""`python -m scripts`: the `raysonde` command without its entry point."""

from __future__ import annotations

from scripts.cli.main import app

app()
