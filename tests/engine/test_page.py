"""The page of the admin listener in a real browser."""

import socket
import struct
import time
import zlib

import pytest

from browser import Browser
from tools import run, wait_for

RULES = "GET %API_PREFIX%/(events|containers/json|version)"
RULE = "GET %API_PREFIX_IMAGES%/json"
TOKEN = "look-at-me-if-you-can"
# What fails on purpose: the browser notes every answer 401.
EXPECTED = "the server responded with a status of 401"


@pytest.fixture
def browser():
    one = Browser()
    yield one
    one.close()


@pytest.fixture
def shown(proxy, tmp_path):
    """Starts a proxy with an admin listener on TCP, and returns it with the address of its page."""

    def start(*flags):
        one = proxy(rules=RULES, flags=("--admin-addr", "tcp://127.0.0.1:0", *flags))
        ready = wait_for(
            lambda: one.records(msg="the admin listener is ready"), "the admin listener"
        )
        return one, ready[0]["address"].replace("tcp://", "http://")

    return start


def connect(proxy):
    host, port = proxy.addresses["tcp"].removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)


def call(proxy, path, times=1, batch=20):
    """Sends requests, some at a time, and reads their answers."""
    request = f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()
    with connect(proxy) as connection:
        answers = connection.makefile("rb")
        for _ in range(times // batch if times > batch else 1):
            count = min(times, batch)
            connection.sendall(request * count)
            for _ in range(count):
                length = 0
                while (line := answers.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                answers.read(length)


def colour_of_corner(picture):
    """The colour of the first pixel of a PNG picture (W3C PNG, sections 5 and 9)."""
    at, data = 8, b""
    while at < len(picture):
        (length,), kind = struct.unpack(">I", picture[at : at + 4]), picture[at + 4 : at + 8]
        if kind == b"IDAT":
            data += picture[at + 8 : at + 8 + length]
        at += 12 + length
    # The first byte is the filter of the row, which leaves its first pixel as it is.
    return tuple(zlib.decompressobj().decompress(data, 4)[1:4])


def test_the_page_shows_what_happens(shown, browser, tmp_path):
    one, address = shown()
    browser.open(address + "/")
    browser.wait_until("byId('connection').textContent === 'live'", "the stream")
    browser.wait_until("byId('engine').textContent === 'ready'", "the engine's state")
    with connect(one) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
        call(one, "/containers/json")
        call(one, "/images/json", times=3)
        # A path that would be markup if it were not put in as a text.
        call(one, "/containers/%3Cimg%20src=x%20onerror=alert(1)%3E/json")
        call(one, "/swarm/unlockkey")
        browser.wait_until("byId('refusals').rows.length === 3", "three rows of refusals")
        browser.wait_until("byId('streams').rows.length === 1", "the open stream")
        browser.wait_until("byId('profiles').rows.length === 1", "the profile")
        browser.wait_until("byId('clients').rows.length >= 1", "the client")
        assert browser.evaluate("document.querySelectorAll('main img').length") == 0
        row = browser.evaluate(
            "[...byId('refusals').rows].map(r => [...r.cells].map(c => c.textContent))"
            ".find(cells => cells[4] === 'GET /images/json')"
        )
        assert row[1:4] == ["3", "127.0.0.1", "default"] and "no_rule" in row[5]

        # One click copies the line that would allow it.
        browser.command(
            "Browser.grantPermissions",
            origin=address,
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        button = f'button[aria-label="Copy the rule {RULE}"]'
        browser.click(button)
        browser.wait_until(
            f"document.querySelector('{button}').textContent === 'Copied'", "the copy"
        )
        assert browser.evaluate("navigator.clipboard.readText()") == RULE
        assert RULE in browser.evaluate("byId('status').textContent")

        pictures = {}
        for scheme in ("light", "dark"):
            browser.prefer(scheme)
            picture = tmp_path / f"{scheme}.png"
            browser.screenshot(picture)
            pictures[scheme] = colour_of_corner(picture.read_bytes())
        assert sum(pictures["light"]) > 600 and sum(pictures["dark"]) < 150, pictures
        # On a small screen, tables scroll and the page does not. The warnings come last, and cite
        # rules, which have no blanks.
        browser.wait_until("byId('warnings').childElementCount > 0", "the warnings")
        browser.resize(400, 900)
        browser.wait_until(
            "innerWidth === 400 && document.documentElement.scrollWidth <= innerWidth",
            "the page to fit",
        )
        browser.screenshot(tmp_path / "small.png")
    assert browser.faults == []


def test_the_keyboard_reaches_every_control(shown, browser):
    one, address = shown()
    browser.open(address + "/")
    browser.wait_until("byId('connection').textContent === 'live'", "the stream")
    call(one, "/images/json")
    browser.wait_until("byId('refusals').rows.length === 1", "the refusal")
    reached = []
    for _ in range(20):
        browser.press("Tab", 9)
        reached.append(
            browser.evaluate(
                "document.activeElement.id || document.activeElement.textContent.slice(0, 12)"
            )
        )
    for want in ("Skip to refu", "Copy", "filter-decision", "filter-client", "pause"):
        assert want in reached, reached
    # Every table has a caption, every control a name, and every section a heading.
    assert browser.evaluate("[...document.querySelectorAll('table')].every(t => t.caption.textContent)")
    named = "e => e.labels?.length || e.textContent.trim()"
    assert browser.evaluate(
        f"[...document.querySelectorAll('button, input, select')].every({named})"
    )
    assert browser.evaluate(
        "[...document.querySelectorAll('section')]"
        ".every(s => byId(s.getAttribute('aria-labelledby')).textContent)"
    )
    assert browser.faults == []


def test_the_page_survives_a_burst(shown, browser, tmp_path):
    one, address = shown()
    browser.open(address + "/")
    browser.wait_until("byId('connection').textContent === 'live'", "the stream")
    sent, begun = 0, time.monotonic()
    # About a thousand a second for four seconds, of which each hundred has a path of its own.
    for second in range(4):
        for part in range(10):
            call(one, f"/images/burst-{second}-{part}/json", times=100)
            sent += 100
            time.sleep(max(0.0, begun + sent / 1000 - time.monotonic()))
    browser.wait_until(f"counts.refused + lost === {sent}", "every decision to arrive or be lost")
    browser.wait_until("byId('refusals').rows.length === 40", "a row for each path")
    assert browser.evaluate("byId('decisions').rows.length") == 100
    assert browser.evaluate("newest.length <= 2000")
    # The number of elements does not grow with that of decisions.
    assert browser.evaluate("document.querySelectorAll('*').length") < 5000
    browser.screenshot(tmp_path / "burst.png")
    assert browser.faults == []


def test_the_page_asks_for_the_token(shown, browser, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    one, address = shown("--admin-token-file", tmp_path / "token")
    browser.open(address + "/")
    browser.wait_until("!byId('token-section').hidden", "the form")
    browser.screenshot(tmp_path / "token.png")
    assert browser.evaluate("document.activeElement.id") == "token"

    def enter(token):
        browser.command("Input.insertText", text=token)
        browser.press("Enter", 13)

    enter("a-wrong-token-of-mine")
    browser.wait_until("byId('status').textContent.includes('wrong')", "the message")
    enter(TOKEN)
    browser.wait_until("byId('connection').textContent === 'live'", "the stream")
    call(one, "/images/json")
    browser.wait_until("byId('refusals').rows.length === 1", "the refusal")
    # The tab keeps it, and the address does not show it.
    browser.open(address + "/")
    browser.wait_until("byId('connection').textContent === 'live'", "the stream again")
    assert TOKEN not in browser.evaluate("location.href + document.body.innerText")
    # A new token ends the stream, and the page asks again.
    (tmp_path / "token").write_text(TOKEN + "-again")
    browser.wait_until("!byId('token-section').hidden", "the form again")
    assert [fault for fault in browser.faults if EXPECTED not in fault] == []


def test_a_page_of_another_site_gets_nothing(shown, browser):
    _, address = shown()
    other = address.replace("127.0.0.1", "localhost")
    browser.open(other + "/")
    # Another origin of the same machine: its page can neither read nor embed.
    outcome = browser.evaluate(
        f"fetch('{address}/policy').then(() => 'read', () => 'refused')"
    )
    assert outcome == "refused"
    status = run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: evil.example", address + "/", ok=True)
    assert status.stdout == "403"
