"""Pages in a real Chromium, headless: what they log, what they request, how they look.

`chromium` is a fixture of one browser for the session and a fresh page a test. It skips with a
reason where selenium (`pip install -e '.[browser]'`), Chromium or its driver are missing (Debian:
`apt-get install chromium chromium-driver`). Mark tests that use it `slow`.

    @pytest.mark.slow
    def test_it(chromium, tmp_path):
        chromium.open(tmp_path / "page.html")
        chromium.click("#more")
        assert chromium.text("#details") == "…"
        chromium.assert_clean()
        chromium.screenshot(tmp_path / "page.png")
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = "chromium", "chromedriver"
_WAIT = 30  # seconds until a page that does not get there is a failure


class Chromium:
    """A browser with one page.

    Attributes:
        driver: selenium's, for what is not here.
        errors: console errors, uncaught exceptions, violations of the page's own policy.
        requests: URLs of everything requested since `open`, the page itself included.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._errors: list[str] = []
        self._requests: list[str] = []

    def open(self, page: Path | str) -> None:
        """Show a file or a URL, and wait until it has loaded."""
        self.reset()
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def reset(self) -> None:
        """Leave the page, forget what it did, and undo emulation."""
        # A page that follows a server would never be done otherwise.
        self.driver.get("about:blank")
        self.size(1280, 800)
        self.media()
        self._read_logs()
        self._errors.clear()
        self._requests.clear()

    @property
    def errors(self) -> list[str]:
        """See the class."""
        self._read_logs()
        return list(self._errors)

    @property
    def requests(self) -> list[str]:
        """See the class."""
        self._read_logs()
        return list(self._requests)

    def assert_clean(self) -> None:
        """No errors, and no request but for the page itself."""
        assert self.errors == []
        others = [url for url in self.requests if url != self.driver.current_url.partition("#")[0]]
        assert others == []

    def script(self, body: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; `arguments[i]` there, JSON values back."""
        return self.driver.execute_script(body, *arguments)

    def wait(self, condition: str, *arguments: Any) -> Any:
        """Wait until a JavaScript expression is true; its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, _WAIT, poll_frequency=0.05).until(
            lambda _: self.script(f"return {condition}", *arguments), condition
        )

    def find(self, selector: str) -> Any:
        """The first element that a CSS selector names."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """What that element says, hidden parts included."""
        return self.find(selector).get_property("textContent")

    def click(self, selector: str) -> None:
        """A real click in the middle of the element, which must be visible."""
        self.find(selector).click()

    def press(self, *keys: str) -> None:
        """Real key presses to what has the focus; keys with a name as selenium's ("ARROW_DOWN")."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(getattr(Keys, key) if len(key) > 1 else key)
        chain.perform()

    def size(self, width: int, height: int) -> None:
        """Of the visible page, in CSS pixels."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def media(self, *, dark: bool = False, print: bool = False) -> None:
        """What the page's media queries see."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools(
            "Emulation.setEmulatedMedia",
            {"media": "print" if print else "screen", "features": [scheme]},
        )

    def screenshot(self, path: Path) -> Path:
        """The visible page as PNG."""
        assert self.driver.save_screenshot(str(path))
        return path

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def _read_logs(self) -> None:
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE" or "Content Security Policy" in entry["message"]:
                self._errors.append(entry["message"])
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("data:", "about:")):
                    self._requests.append(url.partition("#")[0])


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install -e '.[browser]'")
    binary, service = shutil.which(CHROMIUM), shutil.which(DRIVER)
    if binary is None or service is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",  # as root, and in containers
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield driver
    driver.quit()


@pytest.fixture
def chromium(_driver: Any) -> Iterator[Chromium]:
    """A page of the session's browser, as new."""
    page = Chromium(_driver)
    page.reset()
    yield page
    page.reset()
