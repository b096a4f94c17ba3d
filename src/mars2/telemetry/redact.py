"""No secret leaves in a log or a trace, whoever put it into a message.

Endpoints like to quote the key that they refuse. So the values of variables that are named like
secrets, and credentials in URLs, are replaced in every text that is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_NAMED = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|HEADERS)$", re.IGNORECASE)
_URL = re.compile(r"(?<=://)[^/\s:@\"]+:[^/\s@\"]+(?=@)")
_BEARER = re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{8,}")
_SHORTEST = 8  # characters; a shorter value is no secret, and could be an ordinary word


class Redactor:
    """Replaces secrets by "[redacted]". Which ones is read from the environment once."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        found = {
            part
            for name, value in variables.items()
            if _NAMED.search(name)
            for part in [value, *re.split(r"[,=\s]+", value)]
            if len(part) >= _SHORTEST
        }
        longest_first = sorted(found, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._values is not None:
            text = self._values.sub("[redacted]", text)
        return _BEARER.sub("[redacted]", _URL.sub("[redacted]", text))
