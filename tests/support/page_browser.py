"""Looks at the pages of a run in a real browser: pictures, console, width, keyboard, axe.

It is run by `tests.support.page_check` with a Python that has playwright, and nothing else:
``python page_browser.py CHROMIUM AXE_JS FOLDER URL TOKEN NAME=PATH...``. It prints what is wrong,
one line each.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

SIZES = ((1280, 900), (390, 844))
GRAVE = ("serious", "critical")
_AXE = """axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(
    r.violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html.slice(0, 200))])))"""
_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def main() -> None:
    """Look at every page in both schemes and widths."""
    chromium, axe, folder, url, token, *named = sys.argv[1:]
    check = Check(url, token, Path(axe).read_text("utf-8"), Path(folder), named)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in SIZES:
                view = {"width": width, "height": height}
                settings = {"color_scheme": scheme, "viewport": view}
                for line in check.look(browser, settings):
                    sys.stdout.write(f"{scheme} {width}: {line}\n")
        for line in check.by_keyboard(browser):
            sys.stdout.write(f"{line}\n")
        browser.close()


class Check:
    """Looks at the pages of one run."""

    def __init__(self, url: str, token: str, axe: str, folder: Path, named: list[str]) -> None:
        self.url, self.axe, self.folder = url, axe, folder
        self.credentials: Any = {"username": "me", "password": token}
        self.pages = dict(item.split("=", 1) for item in named)

    def look(self, browser: Browser, settings: dict[str, Any]) -> Iterator[str]:
        """Yield what is wrong with the pages in one scheme and width, and take their pictures."""
        context = browser.new_context(**settings, http_credentials=self.credentials)
        page = context.new_page()
        said: list[str] = []
        page.on(
            "console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "dialog", lambda dialog: said.append(f"dialog {dialog.message}") or dialog.dismiss()
        )
        for name, path in self.pages.items():
            page.goto(self.url + path)
            if name == "run":
                yield from _is_live(page)
            width, scheme = settings["viewport"]["width"], settings["color_scheme"]
            page.screenshot(path=self.folder / f"{name}-{scheme}-{width}.png", full_page=True)
            if name == "run":
                _take_top(page, self.folder / f"top-{scheme}-{width}.png")
            if (wider := page.evaluate(_WIDER)) > 0:
                yield f"{name}: {wider} px wider than the screen"
            for rule, impact, nodes in _violations(page, self.axe):
                if impact in GRAVE:
                    yield f"{name}: axe {rule} ({impact}): {nodes}"
            if foreign := page.evaluate(
                "document.querySelectorAll('main script, main img').length"
            ):
                yield f"{name}: {foreign} hostile elements"
        yield from said
        context.close()

    def by_keyboard(self, browser: Browser) -> Iterator[str]:
        """Yield what is wrong if only the keyboard is used: skip, pause, ask, confirm, resume."""
        context = browser.new_context(http_credentials=self.credentials)
        page = context.new_page()
        page.goto(self.url + "/")
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") != "Skip to the content":
            yield "keyboard: the first stop does not skip the menu"
        for order, state in (("Pause", "paused"), ("Resume", "running")):
            page.goto(self.url + "/")
            page.wait_for_timeout(1200)
            for _ in range(20):
                page.keyboard.press("Tab")
                if page.evaluate("document.activeElement.textContent").startswith(order):
                    break
            page.wait_for_timeout(2200)  # events must not take the focus away
            page.keyboard.press("Enter")
            page.wait_for_url("**/confirm**")
            page.focus("main button")
            page.keyboard.press("Enter")
            page.wait_for_url("**/done**")
            page.goto(self.url + "/")
            page.wait_for_timeout(3500)
            if (shown := page.inner_text(".state")) != state:
                yield f"keyboard: {order} was confirmed, and the run is {shown}"
        context.close()


def _take_top(page: Page, path: Path) -> None:
    """Take a picture of the page down to its chart."""
    box = page.locator("#course").bounding_box()
    assert box is not None
    width, height = page.evaluate("innerWidth"), box["y"] + box["height"] + 16
    page.screenshot(
        path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}
    )


def _is_live(page: Page) -> Iterator[str]:
    before = page.inner_text(".doing time")
    page.wait_for_timeout(2500)
    if page.inner_text(".doing time") == before:
        yield "run: no event came in 2.5 s"


def _violations(page: Page, axe: str) -> list[Any]:
    """Return what axe finds; it is put in by the debugger, since the page refuses its script."""
    debugger = page.context.new_cdp_session(page)
    debugger.send("Runtime.evaluate", {"expression": axe})
    answer = debugger.send(
        "Runtime.evaluate", {"expression": _AXE, "awaitPromise": True, "returnByValue": True}
    )
    return list(json.loads(answer["result"]["value"]))


main()
