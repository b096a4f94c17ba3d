"""What pydantic found wrong with settings, in words: each key, what is wrong, what was given."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mars2.config.elsewhere import ELSEWHERE


def explain(error: ValidationError, path: Path | None) -> str:
    """A line for each thing that is wrong.

    Args:
        path: of the file that the settings were read from, if it was one.
    """
    where = f"config {path}" if path else "settings"
    lines = []
    for issue in error.errors():
        key = ".".join(str(p) for p in issue["loc"])
        if issue["type"] == "extra_forbidden":
            ours = ELSEWHERE.get(str(issue["loc"][-1]))
            hint = f"; here it is {ours}" if ours else ""
            lines.append(f"{where}: unknown key {key!r}{hint}")
        elif issue["type"] == "value_error":  # a check of ours, whose message says it all
            lines.append(f"{where}: {key + ': ' if key else ''}{issue['ctx']['error']}")
        else:
            got = f" (got {issue['input']!r})" if key else ""
            lines.append(f"{where}: {key + ': ' if key else ''}{issue['msg']}{got}")
    return "\n".join(lines)
