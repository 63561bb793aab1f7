"""A headless Chromium for pages that only a browser can show, by its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.system import wait_until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
_CALL_TIMEOUT_S = 30.0


class Page:
    """The one tab of a browser.

    Args:
        runner: of the event loop that the connection lives in.
        socket: to the tab.
    """

    def __init__(self, runner: asyncio.Runner, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._runner = runner
        self._socket = socket
        self._last_id = 0

    def open(self, url: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=url)

    def text(self) -> str:
        """Return what a reader sees of the page."""
        return str(self._evaluate("document.body ? document.body.innerText : ''"))

    def wait_for(self, *words: str, timeout_s: float = 60.0) -> None:
        """Wait until a reader sees all of the words."""

        def missing() -> list[str]:
            text = self.text()
            return [word for word in words if word not in text]

        try:
            wait_until(lambda: not missing(), timeout_s, "the page shows all that it should")
        except AssertionError as error:
            raise AssertionError(f"{error}: {missing()} missing in:\n{self.text()}") from error

    def type(self, selector: str, text: str) -> None:
        """Put text into the input that a CSS selector finds, as the keyboard does, and press Enter."""
        focus = "(found => { found?.focus(); return found !== null; })"
        assert self._evaluate(f"{focus}(document.querySelector({json.dumps(selector)}))"), f"no {selector}"
        self._call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                windowsVirtualKeyCode=13,
                text="\r",
            )

    def _evaluate(self, expression: str) -> Any:
        return self._call("Runtime.evaluate", expression=expression)["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._runner.run(self._answer(method, parameters))

    async def _answer(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        async with asyncio.timeout(_CALL_TIMEOUT_S):
            await self._socket.send_json({"id": self._last_id, "method": method, "params": parameters})
            while True:  # until the answer comes: between them are events
                message = await self._socket.receive_json()
                if message.get("id") == self._last_id:
                    assert "error" not in message, f"{method}: {message}"
                    result: dict[str, Any] = message["result"]
                    return result


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """An empty page of a browser whose files are in `folder`; skips the test where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: scripts/install-test-packages")
    command = [program, "--headless", "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}"]
    command += [
        "--no-first-run",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
    ]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # it does not start as root with one
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "about:blank"],
            env=os.environ | {"HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with asyncio.Runner() as runner:
            wait_until(lambda: _port(process, folder) != "", START_TIMEOUT_S, "Chromium listens")
            connection = runner.run(_connect(int(_port(process, folder))))
            try:
                yield Page(runner, connection[1])
            finally:
                runner.run(_close(*connection))
    finally:
        _end(process)


def _port(process: subprocess.Popen[bytes], folder: Path) -> str:
    assert process.poll() is None, f"chromium ended: {(folder / 'chromium.log').read_text()[-3000:]}"
    file = folder / "profile" / "DevToolsActivePort"
    return file.read_text().partition("\n")[0] if file.exists() else ""


async def _connect(port: int) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = [target for target in await answer.json() if target["type"] == "page"]
    return session, await session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0)


async def _close(session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()
    await session.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    finally:
        if _is_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
