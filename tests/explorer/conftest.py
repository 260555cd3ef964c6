"""A browser for the tests of the explorer: Chromium, spoken to over its pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
KEYS = {"Enter": (13, "\r"), "Tab": (9, None), " ": (32, " "), "ArrowLeft": (37, None)} | {
    "ArrowUp": (38, None),
    "ArrowRight": (39, None),
    "ArrowDown": (40, None),
    "Home": (36, None),
    "End": (35, None),
}
# The browser expects its end of the protocol at the descriptors 3 and 4.
TRAMPOLINE = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless Chromium. Messages of the DevTools protocol are JSON that ends with a zero."""

    def __init__(self, profile: Path):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
        quiet = ("--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run")
        command = [CHROMIUM, *flags, *quiet, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAMPOLINE, *map(str, high), *command],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self.read_fd, self.write_fd, self.buffer, self.last = ours_in, ours_out, b"", 0
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Runtime.enable")
        self.complaints = []

    def ask(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_fd, data) :]
        while True:
            answer = self.next_message()
            if answer.get("id") == self.last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def next_message(self, timeout=110):
        end = time.monotonic() + timeout
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_fd], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self.read_fd, 1 << 16)
            assert chunk, "the browser has gone"
            self.buffer += chunk
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(message["params"]["exceptionDetails"])
        return message

    def open(self, url):
        """Load a page anew, also where only what follows the # differs."""
        self.complaints = []
        self.ask("Page.navigate", url="about:blank")
        self.wait("document.readyState === 'complete' && location.href === 'about:blank'")
        self.ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition):
        end = time.monotonic() + 60
        while not self.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def evaluate(self, expression):
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        details = answer.get("exceptionDetails")
        assert details is None, details.get("exception", details).get("description", details)
        return answer["result"].get("value")

    def call(self, function, *arguments):
        return self.evaluate(f"({function})({', '.join(map(json.dumps, arguments))})")

    def press(self, key, *, shift=False):
        number, text = KEYS[key]
        code = {" ": "Space"}.get(key, key)
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 * shift}
        typed = {"text": text} if text else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **typed)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def size(self, width, height, *, mobile=False):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def theme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path):
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self.read_fd)
        os.close(self.write_fd)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One browser for all tests."""
    if CHROMIUM is None:
        pytest.fail("no chromium here: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def page_url(tmp_path_factory):
    """The page as a file."""
    from mxref.show.html import write_page

    return write_page(str(tmp_path_factory.mktemp("explorer") / "explorer.html"))


@pytest.fixture
def browser(chromium, page_url):
    """The browser with the page in it, on a desk; no script may have failed at the end."""
    chromium.size(1280, 900)
    chromium.theme("light")
    chromium.open(page_url)
    yield chromium
    assert not chromium.complaints, chromium.complaints
