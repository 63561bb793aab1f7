"""The device that torch computes on."""

from __future__ import annotations

import torch


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is a GPU that this process may use, if there is one, else the CPU; other names are torch's.

    Raises:
        ValueError: a device that is not here.
    """
    found = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "auto":
        return torch.device(found)
    if name != "cpu" and not name.startswith(found):
        raise ValueError(f"device: got {name!r}, expected 'auto', 'cpu' or a GPU that is here")
    return torch.device(name)
