"""One Chromium for the tests of a file, which leave no page behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.support.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Browser]:
    """One browser for all tests."""
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def browser(running: Browser) -> AsyncIterator[Browser]:
    """The same without a page of another test."""
    yield running
    for context in running.contexts:
        await context.close()
