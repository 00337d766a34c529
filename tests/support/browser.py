"""Chromium for tests: its flags, logged-in pages, and a console whose complaints fail the test."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, StorageState, async_playwright, expect

from tests.support.stack import Stack

CHROMIUM = "/usr/bin/chromium-headless-shell"
"""Without the windows that nobody sees, which cost a third of its CPU time."""

DISABLED_FEATURES = (
    "SpareRendererForSitePerProcess",  # a fourth of its CPU time
    # What Playwright leaves out: of two lists Chromium takes the last.
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
"""Features of Chromium that no test needs."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
]
DEADLINE = 120_000
"""Milliseconds: machines are shared and slow."""

LEFT_WHILE_CONNECTING = "closed before the connection is established"
"""Chromium's warning where a page is left while its websocket connects: nothing that the page did wrong."""

CUT_OFF = r"htmx:(afterRequest|sendError|sendAbort)\b"
"""What htmx logs about a request in flight when its page was left, such as a launch form's preview."""

WEB_GONE = r"WebSocket|net::ERR_(?!ABORTED)|htmx:"
"""What a page logs about its websocket and its requests while its web process is gone: refused, reset, cut off."""

expect.set_options(timeout=DEADLINE)

NewPage = Callable[..., Awaitable[Page]]

_storage_states: dict[tuple[Path, str], StorageState] = {}
"""The cookies of people who have logged in, by the home of their stack and by name."""


@dataclass
class Console:
    """What the consoles of a test's pages complained about. A test that cuts a connection allows what follows."""

    complaints: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=lambda: [LEFT_WHILE_CONNECTING])

    def allow(self, *patterns: str) -> None:
        """Expect complaints that match one of these regular expressions."""
        self.allowed.extend(patterns)

    def watch(self, page: Page) -> None:
        """Note every error of a page: of scripts, of the content security policy, of requests that were not cut off."""
        page.on("requestfailed", self._allow_if_cut_off)
        page.on("pageerror", lambda error: self.complaints.append(f"pageerror: {error}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")
                if message.type in ("error", "warning")
                else None
            ),
        )

    def _allow_if_cut_off(self, request: Request) -> None:
        if request.failure == "net::ERR_ABORTED":
            self.allow(CUT_OFF)

    @property
    def unexpected(self) -> list[str]:
        """Complaints that nothing allows."""
        return [text for text in self.complaints if not any(re.search(pattern, text) for pattern in self.allowed)]


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Run a Chromium for as long as the context is open."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


class Pages:
    """Opens pages of one test, each in a browser context of its own, logged in.

    A person logs in to a stack once, through the form; their other contexts get the cookies from then.
    """

    def __init__(self, browser: Browser, console: Console) -> None:
        self._browser, self._console = browser, console
        self._contexts: list[BrowserContext] = []

    async def open(
        self,
        stack: Stack,
        path: str = "/batches/",
        *,
        login: Mapping[str, str] | None = None,
        allow: Sequence[str] = (),
        width: int = 1440,
        **options: Any,
    ) -> Page:
        """Open a path of a stack.

        `login` is a dict of username and password (by default the stack's operator), `allow` what the console may
        complain about, `width` that of the window; anything else goes to Playwright's new_context.
        """
        self._console.allow(*allow)
        size = {"width": width, "height": 900 if width > 800 else 844}
        person = login or stack.login
        name = stack.home, person["username"]
        context = await self._browser.new_context(
            base_url=stack.url,
            viewport=size,  # type: ignore[arg-type]
            storage_state=_storage_states.get(name),
            **{"reduced_motion": "reduce", **options},  # what turns for as long as a batch runs takes CPU
        )
        context.set_default_timeout(DEADLINE)
        self._contexts.append(context)
        page = await context.new_page()
        self._console.watch(page)
        if name in _storage_states:
            await page.goto(path)
        if name not in _storage_states or "/login/" in page.url:  # no login yet, or logged out since
            await log_in(page, path, person)
            _storage_states[name] = await context.storage_state()
        return page

    async def close(self) -> None:
        """Close all pages, and fail where a console complained."""
        complaints = self._console.unexpected  # before pages close: htmx logs requests in flight then as failed
        for context in self._contexts:
            await context.close()
        assert not complaints, complaints


async def log_in(page: Page, path: str, login: Mapping[str, str]) -> None:
    """Log in through the form, as a person does, and arrive at the path asked for."""
    await page.goto(f"/login/?next={path}")
    await page.locator("#id_username").fill(login["username"])
    await page.locator("#id_password").fill(login["password"])
    await page.locator("form button[type='submit'], form button:not([type])").first.click()
    await page.wait_for_url(f"**{path}")


def main_action(page: Page, name: str) -> Locator:
    """Return the button in a batch's header that has this name."""
    return page.locator("#actions").get_by_role("button", name=name, exact=True)


async def choose(page: Page, name: str) -> None:
    """Choose an entry of the menu in a batch's header."""
    await page.locator("#more > summary").click()
    await page.locator("#more .menu-list").get_by_text(name).click()


async def until_live(page: Page) -> None:
    """Wait until the page has received its first message over the websocket."""
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
