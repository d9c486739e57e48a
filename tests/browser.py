"""A browser without a window, asked through a pipe: the little of Chromium's DevTools protocol that the tests need."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-webgl",
    "--ignore-gpu-blocklist",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)
PLACE = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Puts the ends of two pipes where Chromium looks for them: it reads commands from 3, and writes answers to 4."""
EVERYTHING = """
const everything = (root = document) => [...root.querySelectorAll('*')].flatMap(each => [
    each,
    ...(each.shadowRoot ? everything(each.shadowRoot) : []),
    ...(each.tagName === 'IFRAME' && each.contentDocument ? everything(each.contentDocument) : []),
]);
const all = selector => everything().filter(each => each.matches(selector));
"""
"""Finds elements in the shadows and frames of a page, too, where querySelectorAll does not look."""


class Browser:
    """Chromium, until the `with` ends.

    Args:
        width, height: of its window, in pixels.
    """

    def __init__(self, width=1500, height=950):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        arguments = [PROGRAM, *OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={self._folder.name}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PLACE, str(theirs), str(ours), *arguments],
            pass_fds=(theirs, ours),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/dev/null"},
        )
        os.close(theirs)
        os.close(ours)
        self._number, self._read, self._loaded = 0, b"", set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, AssertionError):
            self._ask("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._folder.cleanup()

    def open(self, address):
        """Open a page in a new tab, and return what it is called from now on."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        page = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable", page)
        self._loaded.discard(page)
        self._ask("Page.navigate", page, url=address)
        while page not in self._loaded:
            self._next()
        return page

    def count(self, page, expression, least, seconds):
        """Wait until an expression of JavaScript is at least a number, but not for ever; return its value then."""
        wait = f"""(() => {{ {EVERYTHING} return new Promise(resolve => {{
            const until = Date.now() + {1000 * seconds};
            const look = () => {{
                let found = 0;
                try {{ found = {expression}; }} catch (error) {{}}
                if (found >= {least} || Date.now() > until) resolve(found); else setTimeout(look, 200);
            }};
            look();
        }}); }})()"""
        answer = self._ask("Runtime.evaluate", page, expression=wait, awaitPromise=True, returnByValue=True)
        assert "value" in answer["result"], answer
        return answer["result"]["value"]

    def click(self, page, element, times):
        """Click an element, given as an expression of JavaScript; twice is a double click."""
        middle = f"(() => {{ {EVERYTHING} const at = {element}.getBoundingClientRect(); return "
        middle += "[at.x + at.width / 2, at.y + at.height / 2]; })()"
        answer = self._ask("Runtime.evaluate", page, expression=middle, returnByValue=True)["result"]
        assert "value" in answer, answer
        x, y = answer["value"]
        for number in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                mouse = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": number}
                self._ask("Input.dispatchMouseEvent", page, **mouse)

    def picture(self, page):
        """Return what the window shows, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", page)["data"])

    def close(self, page):
        """Close a page."""
        self._ask("Page.close", page)

    def _ask(self, method, page=None, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params} | ({"sessionId": page} if page else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self):
        until = time.monotonic() + 120
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(0, until - time.monotonic()))
            read = os.read(self._from, 1 << 20) if ready else b""
            assert read, "the browser does not answer"
            self._read += read
        line, self._read = self._read.split(b"\0", 1)
        answer = json.loads(line)
        if answer.get("method") == "Page.loadEventFired":
            self._loaded.add(answer["sessionId"])
        return answer
