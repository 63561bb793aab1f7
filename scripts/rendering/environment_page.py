"""The table of `docs/reference/environment.md`, from the class that reads the environment."""

from __future__ import annotations

from scripts.rendering.model_tables import markdown_table
from training.runtime.environment import Environment, Variable


def variables() -> list[Variable]:
    """Return the variables of raysonde's own, in the order of their declaration."""
    return [variable for variable in Environment.variables() if variable.owner == "raysonde"]


def markdown() -> str:
    """Return the table of all variables: raysonde's own first, then those of the libraries."""
    others = [variable for variable in Environment.variables() if variable.owner != "raysonde"]
    rows = [(f"`{v.name}`", v.owner, v.type, v.default, v.description) for v in (*variables(), *others)]
    return markdown_table(("variable", "of", "type", "default", "meaning"), rows)
