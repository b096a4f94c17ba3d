"""Settings by name, each a TOML file of `mars2/configs/presets` that says where they come from.

A preset is below a file's settings and the command line's, above the defaults.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from mars2.errors import ConfigError

_PRESETS = resources.files("mars2").joinpath("configs/presets")


def preset_names() -> list[str]:
    """All that exist, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in _PRESETS.iterdir())


def preset(name: str) -> dict[str, Any]:
    """The preset's settings, to be a `base` of `load_config`.

    Raises:
        ConfigError: there is none of this name; lists those there are.
    """
    if name not in preset_names():
        raise ConfigError(f"unknown preset {name!r}; there are {', '.join(preset_names())}")
    return tomllib.loads(_PRESETS.joinpath(f"{name}.toml").read_text("utf-8"))
