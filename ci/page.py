#!/usr/bin/env python3
"""Looks at the page of metrics_page with Chromium, over its debugging pipe.

page.py URL [FOLDER]: fails if the page writes to the console, asks for anything from elsewhere, is
wider than the screen, cannot be worked by keyboard, or does not show how a server goes down and
comes back. Screenshots go into FOLDER.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time

PATIENCE = 90


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, profile):
        # Chromium reads from its descriptor 3 and writes to 4.
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        command = 'exec chromium "$@" 3<&%d 4>&%d' % (theirs_in, theirs_out)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                 "--user-data-dir=" + profile, "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", *flags], pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.rest, self.session = 0, b"", None
        self.complaints, self.urls = [], []
        pages = [target for target in self.call("Target.getTargets")["targetInfos"]
                 if target["type"] == "page"]
        attach = {"targetId": pages[0]["targetId"], "flatten": True}
        self.session = self.call("Target.attachToTarget", **attach)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(domain + ".enable")

    def read(self):
        while b"\0" not in self.rest:
            if not select.select([self.into], [], [], PATIENCE)[0]:
                sys.exit("page: Chromium does not answer")
            data = os.read(self.into, 1 << 20)
            if not data:
                sys.exit("page: Chromium has ended")
            self.rest += data
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit("page: %s: %s" % (method, answer["error"]))
                return answer["result"]
            self.note(answer)

    def note(self, event):
        """Keeps what the page writes to the console, throws, and asks for."""
        method, params = event.get("method"), event.get("params")
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(params)
        if method == "Network.requestWillBeSent":
            self.urls.append(params["request"]["url"])

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit("page: %s: %s" % (script, result["exceptionDetails"]))
        return result["result"].get("value")

    def wait(self, script, what):
        """Asks until the script says yes."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(script):
            if time.monotonic() > end:
                sys.exit("page: never seen: " + what)
            time.sleep(0.1)
        print("seen: " + what)

    def look(self, width, height, scheme, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        wide = self.evaluate("document.documentElement.scrollWidth")
        require(wide <= width, "the page is %d wide on a screen of %d" % (wide, width))

    def shoot(self, folder, name):
        if folder:
            shot = self.call("Page.captureScreenshot", format="png")["data"]
            with open(os.path.join(folder, name), "wb") as file:
                file.write(base64.b64decode(shot))

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **text)

    def close(self):
        self.call("Browser.close")
        self.process.wait(PATIENCE)


def require(holds, complaint):
    if not holds:
        sys.exit("page: " + complaint)


def keyboard(browser):
    """Each thing that can be worked is reached by Tab, is seen to be, and works by Enter."""
    stops = []
    for _ in range(4):
        browser.press("Tab", 9)
        stops.append(browser.evaluate(
            "document.activeElement.id || document.activeElement.textContent"))
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        require(outline != "none", "no focus is seen at " + stops[-1])
    require(stops == ["To the servers", "/metrics", "pause", "events"], "Tab goes %s" % stops)
    browser.evaluate("document.getElementById('pause').focus()")
    browser.press("Enter", 13)
    browser.wait("document.getElementById('link').textContent === 'paused'", "paused by Enter")
    browser.press("Enter", 13)
    browser.wait("document.getElementById('link').textContent === 'live'", "live again")


def structure(browser):
    """Landmarks and headings of the table are there; events are read out politely."""
    for selector, least in (("main", 1), ("header", 1), ("section[aria-label], "
                            "section[aria-labelledby]", 4), ("th[scope=col]", 11),
                            ("th[scope=row]", 4), ("[aria-live=polite]", 1), ("[lang]", 1)):
        count = browser.evaluate("document.querySelectorAll(%r).length" % selector)
        require(count >= least, "%s: %s are there" % (selector, count))


STATE = "[...document.querySelectorAll('tbody tr')].at(-1).querySelector('.state').classList"


def look_at(browser, url, folder):
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    browser.look(1180, 760, "light")
    browser.call("Page.navigate", url=url)
    browser.wait("document.querySelectorAll('tbody tr').length === 4", "four servers")
    structure(browser)
    keyboard(browser)
    requests = "Number(document.querySelectorAll('dd')[2].textContent.replace(/\\D/g, ''))"
    before = browser.evaluate(requests)
    browser.wait("%s > %d" % (requests, before), "figures that move")
    browser.wait(STATE + ".contains('up')", "a server that is up")
    browser.wait(STATE + ".contains('down')", "the same, down")
    browser.wait(STATE + ".contains('up')", "the same, up again")
    browser.wait(STATE + ".contains('down')", "the same, down once more")
    # For a while, and so it has gone from what is shown of the last seconds.
    browser.wait("document.querySelector('.state.down span')"
                 ".textContent === ' for 3 s'", "its age")
    browser.evaluate("document.activeElement.blur()")
    browser.shoot(folder, "light.png")
    browser.look(1180, 760, "dark")
    browser.shoot(folder, "dark.png")
    browser.look(390, 844, "light", 2)
    browser.shoot(folder, "phone.png")
    browser.look(320, 640, "dark")
    require(not browser.complaints, "on the console: %s" % browser.complaints)
    elsewhere = [asked for asked in browser.urls if not asked.startswith((url, "data:"))]
    require(not elsewhere, "asked for elsewhere: %s" % elsewhere)


def main():
    url, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            look_at(browser, url, folder)
            browser.close()
        finally:
            browser.process.kill()
    print("page: no errors on the console")


main()
