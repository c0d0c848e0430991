"""A headless browser, installed from Debian's packages if it is missing."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

PACKAGES = ["chromium", "chromium-driver"]


def install() -> None:
    """Install the browser if it is missing. Raises CalledProcessError."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *words], env=environment, check=True, stdout=subprocess.DEVNULL)


class Browser(webdriver.Chrome):
    """Headless Chromium."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        # The lab's tests run as root, for whom Chromium has no sandbox; a container's /dev/shm may be small.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        super().__init__(options=options, service=Service(shutil.which("chromedriver")))
        self.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        # axe-core is slow on a busy machine.
        self.set_script_timeout(180)

    def prefer(self, scheme: str) -> None:
        """Prefer the `light` or the `dark` scheme, like a setting of the operating system."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def size(self, width: int, height: int) -> None:
        """Set the page's size in pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def violations(self) -> list[str]:
        """The accessibility violations that axe-core finds, with all its rules."""
        axe = Axe(self)
        axe.inject()
        found: dict[str, Any] = axe.run()
        return [
            f"{violation['id']}: {[node['html'][:200] for node in violation['nodes']]}"
            for violation in found["violations"]
        ]

    def complaints(self) -> list[str]:
        """The browser's console, such as script errors and refused requests."""
        return [json.dumps(entry) for entry in self.get_log("browser")]

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        clip = {**self.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"], "scale": 1}
        taken = self.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser, closed at the end."""
    install()
    driven = Browser()
    try:
        yield driven
    finally:
        driven.quit()
