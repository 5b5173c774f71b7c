"""A headless Chromium, driven over the DevTools protocol on a pair of pipes."""

import base64
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time

from tools import PATIENCE, require, wait_for


class Browser:
    """A running browser with one tab. `faults` has every error that its console would show."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory(prefix="cg-browser-", ignore_cleanup_errors=True)
        to_browser, from_browser = os.pipe(), os.pipe()
        # Away from 3 and 4, where the browser expects its own ends.
        ends = [
            fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_browser[0], from_browser[1])
        ]
        os.close(to_browser[0])
        os.close(from_browser[1])
        self.write_end, self.read_end = to_browser[1], from_browser[0]
        command = [require("chromium"), "--headless=new", "--remote-debugging-pipe"]
        command += ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]
        # Nothing but the pages of the test is asked for.
        command += ["--disable-background-networking", "--disable-component-update"]
        command += ["--disable-sync", f"--user-data-dir={self.home.name}", "about:blank"]
        script = f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        self.received, self.number, self.session = b"", 0, None
        self.faults = []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Audits"):
            self.command(f"{domain}.enable")
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)
        self.resize(1280, 1400)

    def command(self, method, **parameters):
        """Sends a command, and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read_message()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.note_event(answer)

    def read_message(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self.received:
            left = deadline - time.monotonic()
            ready = select.select([self.read_end], [], [], max(left, 0))[0]
            assert ready, f"after {PATIENCE} s still waiting for the browser"
            part = os.read(self.read_end, 1 << 20)
            assert part, "the browser has ended"
            self.received += part
        message, self.received = self.received.split(b"\0", 1)
        return json.loads(message)

    def note_event(self, event):
        name, what = event.get("method"), event.get("params", {})
        if name == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.faults.append(str(what["args"]))
        elif name == "Runtime.exceptionThrown":
            self.faults.append(str(what["exceptionDetails"]))
        elif name == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.faults.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
        elif name == "Audits.issueAdded":
            self.faults.append(str(what["issue"]))

    def open(self, address):
        assert "errorText" not in self.command("Page.navigate", url=address)
        wait_for(lambda: self.evaluate("document.readyState") == "complete", "the page to load")

    def evaluate(self, expression):
        """Evaluates an expression in the page, and returns its value, also that of a promise."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait_until(self, expression, what):
        return wait_for(lambda: self.evaluate(expression), what)

    def press(self, key, code):
        """Presses a key as a user does."""
        text = {"Enter": "\r", "Tab": ""}.get(key, key)
        common = {"key": key, "windowsVirtualKeyCode": code}
        self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector):
        """Clicks into the middle of an element, with the mouse."""
        where = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        common = {"x": where[0], "y": where[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, **common)

    def resize(self, width, height):
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme):
        """Makes the user prefer a light or a dark scheme of colours."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path):
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        finally:
            os.close(self.write_end)
            os.close(self.read_end)
            self.home.cleanup()
