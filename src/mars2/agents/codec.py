"""Between conversations and token ids: the one way for every policy that sees tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mars2.agents.base import PromptStyle
from mars2.errors import GenerationError
from mars2.types import Message, Sampling


class Codec:
    """Encodes conversations and decodes answers with a transformers tokenizer.

    Args:
        policy: whose name messages tell.
        tokenizer: with a chat template for chat models; without one (base and micro models)
            messages are concatenated.
        eos_ids: tokens that end an answer; they are no part of its text.
        context: most tokens of prompt and answer, None: no limit.
    """

    def __init__(
        self,
        policy: str,
        tokenizer: Any,
        prompt_style: PromptStyle,
        eos_ids: set[int],
        context: int | None,
    ) -> None:
        self.policy = policy
        self.tokenizer = tokenizer
        self.prompt_style = prompt_style
        self.eos_ids = eos_ids
        self.context = context

    def prompt(self, messages: Sequence[Message], sampling: Sampling) -> tuple[list[int], Sampling]:
        """Token ids of a conversation, and the sampling with the tokens that there is room for.

        Raises:
            GenerationError: there are no tokens, or no room for an answer.
        """
        ids = self.encode(messages)
        if not ids:
            raise GenerationError(f"policy {self.policy!r}: the prompt has no tokens")
        if self.context is None:
            return ids, sampling
        room = self.context - len(ids)
        if room < 1:
            raise GenerationError(
                f"policy {self.policy!r}: the prompt has {len(ids)} tokens and the model's context "
                f"holds {self.context}"
            )
        return ids, replace(sampling, max_tokens=min(sampling.max_tokens, room))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, ready for the model to answer."""
        if self.prompt_style == "micro":
            text = "".join(m.content for m in messages)
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        if not getattr(self.tokenizer, "chat_template", None):
            text = "\n\n".join(m.content for m in messages) + "\n\n"
            return list(self.tokenizer.encode(text))
        text = self._chat_text(messages)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled tokens without end-of-text and other special tokens."""
        ids = list(token_ids)
        while ids and ids[-1] in self.eos_ids:
            ids.pop()
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def _chat_text(self, messages: Sequence[Message]) -> str:
        plain = [{"role": m.role, "content": m.content} for m in messages]
        try:
            return self._render(plain)
        except Exception:
            # Some templates refuse a system message: say it in the user's first one.
            if len(plain) < 2 or plain[0]["role"] != "system":
                raise
            merged = plain[0]["content"] + "\n\n" + plain[1]["content"]
            return self._render([{"role": plain[1]["role"], "content": merged}, *plain[2:]])

    def _render(self, plain: list[dict[str, str]]) -> str:
        return self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)


def eos_ids(*sources: Any) -> set[int]:
    """Whatever model, its configurations or tokenizer call end of text (chat models often have
    two)."""
    ids: set[int] = set()
    for source in sources:
        value = getattr(source, "eos_token_id", None)
        ids.update(value if isinstance(value, list | tuple) else [] if value is None else [value])
    return ids


def context_of(config: Any) -> int | None:
    """How many tokens a model with this transformers configuration was made for."""
    value = getattr(config.get_text_config(), "max_position_embeddings", None)
    return value if isinstance(value, int) and value > 0 else None
