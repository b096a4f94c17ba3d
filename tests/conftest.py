"""No test depends on the clock: on a busy machine an example of hypothesis takes what it takes."""

from __future__ import annotations

import os
import time

import pytest
from browser import _driver as _driver
from browser import chromium as chromium
from hypothesis import settings

settings.register_profile("mars2", deadline=None)
settings.load_profile("mars2")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no slow test after MARS2_SLOW_TESTS_UNTIL (seconds since the epoch), if that is set."""
    until = os.environ.get("MARS2_SLOW_TESTS_UNTIL")
    if until and item.get_closest_marker("slow") and time.time() > float(until):
        pytest.skip("the time for slow tests is over (MARS2_SLOW_TESTS_UNTIL)")
