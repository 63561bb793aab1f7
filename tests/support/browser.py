"""A headless Chromium for pages that only a browser can show: Debian's program, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright


@contextmanager
def browser() -> Iterator[Page]:
    """An empty page of a browser of its own; skips the test where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: scripts/install-test-packages")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            chromium_sandbox=os.geteuid() != 0,  # it does not start as root with one
            args=["--disable-dev-shm-usage"],
        )
        try:
            yield chromium.new_page()
        finally:
            chromium.close()
