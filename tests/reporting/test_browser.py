"""The page in a real browser: charts are drawn, nothing fails, dark and phone width work."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from segood.reporting import build_report


@pytest.fixture
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium on this machine: the page is not opened in a browser")


def test_page_opens_without_error(browser: str, run_dir: Path, tmp_path: Path) -> None:
    page = build_report(run_dir)
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
        "--virtual-time-budget=6000", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=412,900",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    # Chromium's own services complain without a desktop; a page's messages carry CONSOLE.
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    charts = done.stdout.count("data-chart=")
    assert charts == 8
    assert done.stdout.count('data-drawn="yes"') == charts
    assert len(re.findall(r'class="main-svg"', done.stdout)) >= charts
