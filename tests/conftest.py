"""No test depends on the clock: on a busy machine an example of hypothesis takes what it takes."""

from __future__ import annotations

from browser import _driver as _driver
from browser import chromium as chromium
from hypothesis import settings

settings.register_profile("mars2", deadline=None)
settings.load_profile("mars2")
