"""The page at the root: the workloads with their states, and links to their parts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def render(states: Mapping[str, str]) -> str:
    """Render HTML with a row a workload.

    Args:
        states: by workload: ready, or the arms that it waits for.
    """
    return _PAGE.replace("{rows}", "".join(_row(name, state) for name, state in states.items()))


def _row(workload: str, state: str) -> str:
    kind = "ready" if state == "ready" else "waiting"
    links = (("docs", "API"), ("info", "models"), ("traffic", "routing"), ("schema", "fields"))
    cells = "".join(f'<td><a href="/{escape(workload)}/{path}">{text}</a></td>' for path, text in links)
    return f'<tr><th>{escape(workload)}</th><td class="{kind}">{escape(state)}</td>{cells}</tr>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>raysonde</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem;
  color: #1b2430 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid #dde3ea }
a { color: #0b62a4 }
.ready { color: #17733b }
.waiting { color: #a25a00 }
</style></head><body>
<h1>raysonde</h1>
<p>Predictions over live telemetry, by models that are kept honest.</p>
<table>{rows}</table>
<p><a href="/docs">API of the whole</a> &middot; <a href="/healthz">health</a> &middot;
<a href="/metrics">metrics</a></p>
</body></html>
"""
