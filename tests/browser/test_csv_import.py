"""CSV import as a person uses it: a schema in the form, rejected rows to correct, and rows that are rolled back."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import NewPage, choose, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

ROWS = """\
id,email,amount
1,ann@example.org,-3
2,bob@example.org,7
3,ann@example.org,9
4,nobody,1
5,eve@example.org,2
"""
MORE = """\
id,email,amount
2,new@example.org,1
7,ron@example.org,2
5,eve@example.org,3
"""
COLUMNS = "id: integer\nemail: text, required, unique, pattern .+@.+\namount: decimal, from 0"


@pytest.fixture
def shop(shop_database: Path) -> Path:
    """A shop's database."""
    with sqlite3.connect(shop_database) as connection:
        connection.execute("CREATE TABLE people (id integer PRIMARY KEY, email text, amount numeric)")
        connection.execute("INSERT INTO people VALUES (2, 'old@example.org', 1)")
        connection.execute(
            "CREATE TRIGGER no_eve BEFORE INSERT ON people WHEN new.id = 5 "
            "BEGIN SELECT raise(ABORT, 'eve is not welcome'); END"
        )
    return shop_database


def people(shop: Path) -> list[tuple[int, str, float]]:
    with sqlite3.connect(shop) as connection:
        return connection.execute("SELECT id, email, amount FROM people ORDER BY id").fetchall()


async def test_rows_are_rejected_with_reasons_imported_and_rolled_back(
    stack: Stack, shop: Path, new_page: NewPage
) -> None:
    imported = [(2, "bob@example.org", 7), (3, "ann@example.org", 9)]
    page = await new_page(stack, "/launch/csv_import/", allow=[r"status of 422"])
    await launches_once_the_schema_is_valid(page)
    assert people(shop) == imported
    await downloads_the_rejected_rows(page)
    address = page.url
    await launches_again_with_a_rollback(page)
    assert people(shop) == imported, "the batch's rows are removed, and changed ones restored"
    await page.goto(address)
    await until_live(page)
    await rolls_back(page)
    assert people(shop) == [(2, "old@example.org", 1)], "the table is as it was before the first batch"
    await page.locator("#more > summary").click()
    await expect(page.locator("#more").get_by_text("Roll back…")).to_be_hidden()
    again = stack.api("POST", f"/batches/{address.rstrip('/').rsplit('/', 1)[1]}/rollback")
    assert (again.status_code, again.json()["detail"]) == (409, "There is nothing left to undo.")


async def launches_once_the_schema_is_valid(page: Page) -> None:
    """Fill in the form with an invalid schema, then a valid one, and wait until the batch has ended."""
    await page.get_by_label("Items", exact=True).fill(ROWS)
    await page.get_by_label("Connection").fill("SHOP")
    await page.get_by_label("Table", exact=True).fill("people")
    await page.get_by_label("Columns", exact=True).fill("id: number")
    await page.get_by_label("Key columns").fill("id")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page.locator(".field.has-error")).to_contain_text("unknown option 'number'")
    await page.get_by_label("Columns", exact=True).fill(COLUMNS)
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)
    await expect(page.locator("[data-field='badge']")).to_contain_text("Partially failed")
    stages = page.locator("tr[data-kind='stage']")
    await expect(stages.nth(0)).to_contain_text("validate_rows")
    await expect(stages.nth(1)).to_contain_text("upsert_rows")


async def downloads_the_rejected_rows(page: Page) -> None:
    """Download the rejected rows, each with its reason."""
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Rejected rows").click()
    rejected = csv.DictReader(io.StringIO(await asyncio.to_thread((await (await started.value).path()).read_text)))
    assert [(row["id"], row["amount"], row["why_rejected"]) for row in rejected] == [
        ("1", "-3", "amount: -3 is less than 0"),
        ("4", "1", "email: 'nobody' does not match .+@.+"),
        ("5", "2", "eve is not welcome"),
    ]


async def launches_again_with_a_rollback(page: Page) -> None:
    """Launch the batch again over rows of which one fails, so that it is rolled back."""
    await choose(page, "Launch again")
    await expect(page.get_by_label("Columns", exact=True)).to_have_value(COLUMNS)
    await page.get_by_label("Items", exact=True).fill(MORE)
    await page.get_by_label("When children fail", exact=True).select_option("fail_fast")
    await page.get_by_label("Above the limit", exact=True).select_option("roll_back")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)
    await expect(page.locator("[data-field='badge']")).to_contain_text("Rolled back")


async def rolls_back(page: Page) -> None:
    """Roll back a batch that has ended."""
    await choose(page, "Roll back…")
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(page.locator("#answer")).to_contain_text("Rolling back 1 completed child.")
    await expect(page.locator("[data-field='badge']")).to_contain_text("Rolled back")
