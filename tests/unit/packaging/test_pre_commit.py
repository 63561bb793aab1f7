"""The hooks before a commit are the checks of `make check`."""

from __future__ import annotations

import re
from typing import Any

import yaml

from training.runtime.settings import REPOSITORY

HOOKS: list[dict[str, Any]] = [
    hook
    for repository in yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, with the folder of its programs written out."""
    makefile = (REPOSITORY / "Makefile").read_text()
    (found,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    (programs,) = re.findall(r"^BIN := (.+)$", makefile, re.MULTILINE)
    return [line.strip().removeprefix("@").replace("$(BIN)", programs) for line in found.splitlines()]


def test_the_hooks_run_what_make_check_runs_in_its_order() -> None:
    assert [hook["entry"] for hook in HOOKS] == recipe("check")


def test_each_hook_checks_all_files_with_the_programs_of_the_checkout() -> None:
    for hook in HOOKS:
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)
