"""The common style of all pictures: colours, size, names of files."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MEASURED, BEST, TRUTH = "#222222", "#7a7a7a", "#1f5fa8", "#c0392b"
OTHERS = ("#e08e0b", "#3a8f5c", "#8e5ea2")


def new_figure(width: float = 9, height: float = 5.2) -> Figure:
    """Return an empty figure; its size is in inches."""
    matplotlib.rcParams["font.size"] = 10
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def plain(axes: Axes, title: str) -> None:
    """Set a title, a light grid and no box."""
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, directory: Path, name: str) -> Path:
    """Save a figure as PNG, under a name that any file system takes."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    path = directory / f"{slug}.png"
    figure.savefig(path)
    return path


def words(name: str) -> str:
    """`altitude_m` -> `altitude`: the unit stands beside it."""
    return name.rsplit("_", 1)[0].replace("_", " ")
