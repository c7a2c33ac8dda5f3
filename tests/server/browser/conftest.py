"""A headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.debian import ensure_program


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """With a profile of its own, that trusts certificates nobody signed."""
    chromium = ensure_program("chromium", "chromium", "chromium-driver")
    driver = ensure_program("chromedriver", "chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.accept_insecure_certs = True
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=driver)
    started = webdriver.Chrome(options=options, service=service)
    started.set_page_load_timeout(60)
    try:
        yield started
    finally:
        started.quit()
