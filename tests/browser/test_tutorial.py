"""docs/processors.md, word for word, in a copy of the project: files written, commands run, buttons pressed."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import DEADLINE, log_in, main_action
from tests.support.prepared import prepared_home
from tests.support.running import Run
from tests.support.stack import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TUTORIAL = (ROOT / "docs" / "processors.md").read_text()
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = ("dashboard", "orchestration", "templates", "static", "tests", "docs")
FILES = ("manage.py", "pyproject.toml", "requirements-dev.txt", "Makefile", "Procfile")
OF_THE_SITE = ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Files of which, with docs/, the site of the documentation is made: it has been, in this copy."""


@dataclass
class Tutorial:
    """A copy of the project with its environment, and the tutorial's blocks in order."""

    folder: Path

    def __post_init__(self) -> None:
        self._blocks = BLOCK.finditer(TUTORIAL)

    def next(self, kind: str, file: str | None = None) -> str:
        """Return the next block, which has to be of this kind and for this file."""
        block = next(self._blocks)
        assert (block["kind"], block["file"]) == (kind, file)
        return block["text"]

    def write(self, kind: str, file: str) -> None:
        """Write the next block to its file."""
        (self.folder / file).write_text(self.next(kind, file))

    def command(self) -> str:
        """Return the next block's command."""
        text = self.next("console")
        assert text.startswith("$ ")
        return text.removeprefix("$ ")

    def run(self) -> str:
        """Run the next block's command and return what it says."""
        return self.shell(self.command())

    def shell(self, command: str) -> str:
        """Run a command and return what it says."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def tutorial(tmp_path: Path) -> Tutorial:
    """The project as it is after a clone and its first `make`."""
    folder = tmp_path / "canopy"
    folder.mkdir()
    for name in PROJECT:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))  # not those being written
    for name in (*FILES, *OF_THE_SITE):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "build" / "docs").mkdir(parents=True)
    (folder / "build" / "docs" / "index.html").touch()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return Tutorial(folder)


@pytest.fixture
def running(tutorial: Tutorial, tmp_path: Path) -> Iterator[Run]:
    """What the tutorial's last command starts; not yet started."""
    shutil.copytree(prepared_home(), tmp_path / "home")
    run = Run(tmp_path / "home", folder=tutorial.folder)
    yield run
    family = psutil.Process(run.process.pid).children(recursive=True)  # the shell's: make and all below it
    run.process.stop()
    for process in family[:1]:
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == []


def said(words: str) -> str:
    """Return words of the tutorial, which has to say them in bold."""
    assert f"**{words}**" in re.sub(r"\s+", " ", TUTORIAL)
    return words


def _write_and_test(tutorial: Tutorial) -> None:
    """Do what is done before anything runs."""
    assert "Wrote price_orders.py" in tutorial.run()
    assert "2 passed" in tutorial.shell(".venv/bin/python -m pytest test_price_orders.py")
    tutorial.write("python", "price_orders.py")
    lines = (tutorial.folder / "price_orders.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 30
    tutorial.write("python", "test_price_orders.py")
    assert "1 passed" in tutorial.run()


async def launch(page: Page, tutorial: Tutorial) -> None:
    """Paste the rows, leave out the bad one, and launch."""
    await page.get_by_role("link", name=said("Launch"), exact=True).first.click()
    await page.get_by_role("link", name=said("Price orders")).click()
    await expect(page.locator("#id_parameters-currency option")).to_have_text(["EUR", "USD"])
    await page.get_by_label("Input format").select_option(label=said("CSV with a header"))
    await page.get_by_label("Items", exact=True).fill(tutorial.next("csv", "orders.csv"))
    preview = page.locator("#preview")
    await expect(preview).to_contain_text(said("1 invalid row"))
    await expect(preview).to_contain_text("Line 4 quantity: Input should be a valid integer")
    await page.get_by_label(said("Leave out 1 invalid row")).check()
    await page.get_by_role("button", name=said("Launch"), exact=True).click()
    await page.wait_for_url("**/batches/*/")


async def test_the_tutorial_word_for_word(tutorial: Tutorial, running: Run, browser: Browser) -> None:
    await asyncio.to_thread(_write_and_test, tutorial)
    running.process.command = ["sh", "-c", tutorial.command()]
    running.start()
    context = await browser.new_context(base_url=running.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(DEADLINE)
    page = await context.new_page()
    await log_in(page, "/batches/", running.login)
    await launch(page, tutorial)
    batch = page.url.rstrip("/").rsplit("/", 1)[1]
    failed = page.locator('tr[data-kind="child"][data-status="failed"]')
    await expect(failed).to_have_count(2)
    await failed.first.get_by_role("link").first.click()
    await expect(page.locator("#pane")).to_contain_text("KeyError")

    tutorial.write("json", "prices.json")
    await main_action(page, said("Retry 2")).click()
    done = page.locator('b[data-count="completed"][data-of="children"]').first
    await expect(done).to_have_text("3")
    async with page.expect_download() as download:
        await page.get_by_role("link", name=said("CSV"), exact=True).click()
    rows = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    await context.close()
    assert [(row["key"], row["result.total"], row["result.currency"]) for row in rows] == [
        ("tea", "10.0", "EUR"),
        ("coffee", "8.0", "EUR"),
        ("salt", "1.5", "EUR"),
    ]
    earlier = running.api("GET", f"/batches/{batch}/items").json()["results"]
    assert [item["attempts"] for item in earlier] == [1, 2, 2]
