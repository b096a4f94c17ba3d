"""Starts a vLLM server in a Python of its own, and leaves no process behind.

vLLM pins its own torch and transformers, so it lives in another environment than mars2. The server
listens on a Unix socket in a private directory: nobody else on the machine or the network can reach
its endpoints that change weights.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from mars2.config import VllmConfig
from mars2.errors import AgentSpecError, EndpointDownError

_log = logging.getLogger(__name__)
INSIDE = Path(__file__).parent / "inside"  # what runs in vLLM's Python
_STOP_S = 30.0
_LOG_LINES = 12


def vllm_python(settings: VllmConfig) -> str:
    """The interpreter that vLLM is installed for: `vllm.python`, else MARS2_VLLM_PYTHON, else ours.

    Raises:
        AgentSpecError: there is no such program, or it has no vLLM; says what to do.
    """
    named = settings.python or os.environ.get("MARS2_VLLM_PYTHON")
    python = shutil.which(os.path.expanduser(named or sys.executable))
    how = (
        "install vLLM into an environment of its own (docs/vllm.md) and name its python in "
        "MARS2_VLLM_PYTHON or vllm.python"
    )
    if python is None:
        raise AgentSpecError(f"the python for vLLM, {named!r}, is not a program here: {how}")
    look = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    if subprocess.run([python, "-I", "-c", look], stdin=subprocess.DEVNULL).returncode:
        raise AgentSpecError(f"{python} has no vLLM: {how}")
    return python


@dataclass(slots=True)
class Server:
    """One vLLM server of ours: the process, its socket and its directory.

    Args:
        name: what the model is called in requests.
        tokenizer: directory or hub id of the tokenizer.
        dtype: of weights and activations.
        max_batch: most requests answered together; vLLM takes new ones in between.
        devices: GPUs of this machine over which the model is spread; none: one that we see.
    """

    python: str
    name: str
    tokenizer: str
    dtype: str
    max_batch: int
    settings: VllmConfig
    devices: Sequence[int] = ()
    directory: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mars2-vllm-"))  # mode 0700

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "socket"

    @property
    def running(self) -> bool:
        """Whether the process is there; it may still be loading."""
        return self._process is not None and self._process.poll() is None

    @property
    def used(self) -> bool:
        """Whether it was started before."""
        return self._process is not None

    def start(self, model: str) -> None:
        """Start it with the weights of `model` and wait until it answers.

        Raises:
            EndpointDownError: it ended, or took longer than `vllm.start_timeout_s`; the last lines
                of its log are in the message.
        """
        self.stop(keep=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        watch = [sys.executable, "-I", str(INSIDE / "mars2_watch.py"), str(self.directory)]
        self._process = subprocess.Popen(
            [*watch, self.python, *self.command(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | self.environment(),
        )
        _log.info("starting vLLM for %s (log: %s)", self.name, self.directory / "log")
        until = time.monotonic() + self.settings.start_timeout_s
        while not self.healthy():
            if not self.running:
                raise EndpointDownError(f"vLLM for {self.name} did not start:\n{self.last_words()}")
            if time.monotonic() > until:
                said = self.last_words()
                self.stop(keep=True)
                raise EndpointDownError(
                    f"vLLM for {self.name} did not answer within vllm.start_timeout_s = "
                    f"{self.settings.start_timeout_s:g}:\n{said}"
                )
            time.sleep(0.2)

    def environment(self) -> dict[str, str]:
        """What its process has in its environment besides ours."""
        own = {
            "PYTHONPATH": str(INSIDE),
            "VLLM_SERVER_DEV_MODE": "1",  # pause, weights, cache
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        if self.devices:
            own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, self.devices))
        return own

    def command(self, model: str) -> Sequence[str]:
        """The arguments of vLLM's Python. Settings of the user come last and win."""
        settings = self.settings
        command = ["-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", model, "--tokenizer", self.tokenizer, "--uds", str(self.socket)]
        command += ["--served-model-name", self.name, "--dtype", self.dtype]
        command += ["--max-num-seqs", str(self.max_batch), "--generation-config", "vllm"]
        # Log-probabilities of what is sampled from, after the temperature.
        command += ["--logprobs-mode", "processed_logprobs", "--enable-prefix-caching"]
        command += ["--enable-scale-out"]  # token ids in, token ids out
        command += ["--worker-extension-cls", "mars2_vllm.Worker"]
        if len(self.devices) > 1:
            command += ["--tensor-parallel-size", str(len(self.devices))]
        if settings.max_model_len is not None:
            command += ["--max-model-len", str(settings.max_model_len)]
        if settings.kv_cache_mb is not None:
            command += ["--kv-cache-memory-bytes", str(settings.kv_cache_mb << 20)]
        if settings.lora_rank:
            # Two: the next one is checked while the last one still answers.
            command += ["--enable-lora", "--max-lora-rank", str(settings.lora_rank)]
            command += ["--max-loras", "2"]
        return [*command, *settings.args]

    def healthy(self) -> bool:
        """Whether it answers and its engine lives."""
        if not self.socket.exists():
            return False
        try:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket))) as client:
                return client.get("http://vllm/health", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = (self.directory / "log").read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(lines[-_LOG_LINES:])

    def stop(self, *, keep: bool = False) -> None:
        """End it and wait for that; delete its directory, unless it shall start again."""
        process, self._process = self._process, None
        if process is not None:
            if keep and process.poll() is None:
                process.terminate()
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
