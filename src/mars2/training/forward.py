"""Log-probabilities of output tokens under a causal language model, without waste.

Samples become one stream without padding in which equal beginnings, above all the prompt that
siblings of a tree share, are computed once (`packing`, `attention`). The output layer runs only at
positions that predict output tokens, never at prompt positions, and in chunks (`head`). A model is
asked once whether it gives the same log-probabilities that way; one that does not is run on padded
batches, and one that changes what its output layer gives is taken as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mars2.training.attention import NAME, Packed
from mars2.training.head import head_logprobs, logits_logprobs
from mars2.training.packing import MIN_SHARED, pack, packed_batches
from mars2.training.sample import Sample

_METHOD = "mars2_logprobs"
_AGREE = 1e-5  # largest difference of two ways to compute the same logits or log-probs


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model was found to do: run on packed streams; give its logits by body + head."""

    packs: bool
    splits: bool


_known: WeakKeyDictionary[nn.Module, Abilities] = WeakKeyDictionary()


def abilities(model: nn.Module) -> Abilities:
    """Found by trying, once a model. One that packs gets our attention implementation, which does
    what PyTorch's does for everything but packed streams."""
    if model not in _known:
        device = next(model.parameters()).device.type
        with torch.autocast(device, enabled=False):  # two ways agree in full precision only
            splits = split_head_agrees(model)
            _known[model] = Abilities(False, splits)
            _known[model] = Abilities(packing_agrees(model), splits)
    return _known[model]


def adopt_abilities(model: Any, can: Abilities) -> None:
    """Take these for the model's: found of another one of the same architecture."""
    _known[model] = can
    if can.packs:
        model.set_attn_implementation(NAME)


def compute_through(model: nn.Module, register: Callable[[nn.Module, str], None]) -> None:
    """From now on the log-probs of `model` are computed in one call of a method of its own, since
    wrappers that gather weights for a forward pass must know that body and head belong to one.

    Args:
        register: told (model, name of the method), may replace it.
    """
    setattr(model, _METHOD, partial(_outputs, model))
    register(model, _METHOD)


def batches(
    samples: Sequence[Sample], max_tokens: int, model: nn.Module, ranks: int = 1
) -> list[list[int]]:
    """Indices of `samples` in micro-batches for `model`: at most `max_tokens` tokens each, counted
    as they are computed (a shared beginning once, or padded). Packed ones are made so that each of
    `ranks` processes gets equally many, if it can be."""
    if abilities(model).packs:
        return packed_batches(samples, max_tokens, ranks=ranks)
    return list(micro_batches(samples, max_tokens))


def micro_batches(samples: Sequence[Sample], max_tokens: int) -> Iterator[list[int]]:
    """Indices of `samples` in groups of similar length, at most `max_tokens` padded each.

    A sample longer than that comes alone. Every index comes exactly once.
    """

    def length(i: int) -> int:
        return len(samples[i].prompt_ids) + len(samples[i].token_ids)

    group: list[int] = []
    for i in sorted(range(len(samples)), key=lambda i: (-length(i), i)):
        if group and (len(group) + 1) * length(group[0]) > max_tokens:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def output_mask(samples: Sequence[Sample], device: str | torch.device = "cpu") -> Tensor:
    """[B, T] float32, 1.0 on the output tokens of each row, T = the longest output."""
    lengths = torch.tensor([len(s.token_ids) for s in samples], device=device)
    columns = torch.arange(int(lengths.max()), device=device)
    return (columns < lengths.unsqueeze(1)).float()


def rollout_logprobs(samples: Sequence[Sample], device: str | torch.device = "cpu") -> Tensor:
    """[B, T] float32: what the samples carry, 0 on padding."""
    rows = [torch.tensor(s.logprobs, dtype=torch.float32) for s in samples]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)


def output_logprobs(model: nn.Module, samples: Sequence[Sample]) -> Tensor:
    """log π(token_ids[t] | prompt_ids, token_ids[:t]) at each sample's temperature.

    Returns:
        [B, T] float32, 0 on padding; carries a gradient if gradients are enabled.
    """
    return _compute(model, samples, entropy=False)[0]


def output_logprobs_and_entropy(
    model: nn.Module, samples: Sequence[Sample]
) -> tuple[Tensor, Tensor]:
    """The same, and the entropy (nats) of the distribution each token was drawn from, [B, T]."""
    logprobs, entropy = _compute(model, samples, entropy=True)
    assert entropy is not None
    return logprobs, entropy


def _compute(
    model: nn.Module, samples: Sequence[Sample], *, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    compute = getattr(model, _METHOD, None) or partial(_outputs, model)
    return compute(samples, abilities(model), entropy=entropy)


def _outputs(
    model: nn.Module,
    samples: Sequence[Sample],
    can: Abilities,
    *,
    entropy: bool,
    min_shared: int = MIN_SHARED,
) -> tuple[Tensor, Tensor | None]:
    device = next(model.parameters()).device
    run = (_body(model) if can.splits else model, "last_hidden_state" if can.splits else "logits")
    if can.packs:
        states = _packed(*run, samples, device, min_shared)
    else:
        states = _padded(*run, samples, device)
    targets = torch.tensor([t for s in samples for t in s.token_ids], device=device)
    mask = output_mask(samples, device).bool()
    counts = mask.sum(1)
    temperatures = torch.tensor([s.temperature for s in samples], device=device)
    temperatures = temperatures.repeat_interleave(counts)
    if can.splits:
        found = head_logprobs(_head(model), states, targets, temperatures, entropy=entropy)
    else:
        found = logits_logprobs(states, targets, temperatures, entropy=entropy)
    shaped = [
        None if flat is None else torch.zeros(mask.shape, device=device).masked_scatter(mask, flat)
        for flat in found
    ]
    assert shaped[0] is not None
    return shaped[0], shaped[1]


def _packed(
    part: Any, wanted: str, samples: Sequence[Sample], device: torch.device, min_shared: int
) -> Tensor:
    """[output tokens, width]: what the model gives where it predicts them, sample by sample."""
    layout = pack(samples, min_shared)
    out = part(
        input_ids=torch.tensor([layout.tokens], device=device),
        position_ids=torch.tensor([layout.positions], device=device),
        attention_mask=_NO_MASK.to(device),
        packed=Packed.of(layout),
        use_cache=False,
    )
    places = list(itertools.chain.from_iterable(layout.sources))
    return out[wanted][0].index_select(0, torch.tensor(places, device=device))


# Models hand a four-dimensional mask on as it is, and `packed` says all that there is to say.
_NO_MASK = torch.empty(0, 0, 0, 0)


def _padded(part: Any, wanted: str, samples: Sequence[Sample], device: torch.device) -> Tensor:
    """The same from a batch padded on the right, where a causal model's real positions cannot see
    the padding, so that no attention mask is needed and the fast attention path is used."""
    rows = [torch.tensor([*s.prompt_ids, *s.token_ids]) for s in samples]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
    sample, step = output_mask(samples, device).nonzero(as_tuple=True)
    first = torch.tensor([len(s.prompt_ids) for s in samples], device=device)
    return getattr(part(input_ids=ids, use_cache=False), wanted)[sample, first[sample] + step - 1]


@torch.no_grad()
def split_head_agrees(model: nn.Module) -> bool:
    """True if body + output head give the model's own logits (some models scale or cap them)."""
    try:
        ids = torch.arange(8, device=next(model.parameters()).device).unsqueeze(0)
        head = _head(model)
        ours = head(_body(model)(input_ids=ids, use_cache=False).last_hidden_state)
        theirs = model(input_ids=ids, use_cache=False).logits
    except (AttributeError, TypeError):
        return False
    if not isinstance(head, nn.Linear) or ours.shape != theirs.shape:
        return False
    return bool(torch.allclose(ours, theirs, atol=_AGREE, rtol=_AGREE))


@torch.no_grad()
def packing_agrees(model: Any) -> bool:
    """True if packed streams give the log-probs of padded batches; leaves the model's attention
    implementation as it was if not."""
    config = getattr(model, "config", None)
    before = getattr(config, "_attn_implementation", None)
    if before not in ("sdpa", "eager", NAME) or not hasattr(model, "set_attn_implementation"):
        return False
    rows = _trial(model)
    splits = _known[model].splits if model in _known else split_head_agrees(model)
    padded = _outputs(model, rows, Abilities(False, splits), entropy=False)[0]
    try:
        model.set_attn_implementation(NAME)
        can = Abilities(True, splits)
        packed = _outputs(model, rows, can, entropy=False, min_shared=1)[0]
        agrees = bool(torch.allclose(packed, padded, atol=_AGREE, rtol=_AGREE))
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError):
        agrees = False  # whatever a model does with what it does not know
    if not agrees:
        model.set_attn_implementation(before)
    return agrees


def _trial(model: Any) -> list[Sample]:
    """Four short samples: two siblings, one whose prompt begins alike, one that shares nothing."""
    size = model.get_input_embeddings().num_embeddings
    window = getattr(model.config.get_text_config(), "sliding_window", None) or 0
    long = 8 + (window if window <= 1024 else 0)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(size, (long + 24,), generator=generator).tolist()
    prompt, rest = tuple(ids[:long]), ids[long:]
    parts = [
        (prompt, rest[:6]),
        (prompt, rest[6:9]),
        ((*prompt[:5], *rest[9:12]), rest[12:16]),
        (tuple(rest[16:19]), rest[19:24]),
    ]
    return [_bare_sample(p, tuple(o)) for p, o in parts]


def _bare_sample(prompt: tuple[int, ...], output: tuple[int, ...]) -> Sample:
    return Sample(
        agent="",
        policy="",
        prompt_ids=prompt,
        token_ids=output,
        logprobs=(0.0,) * len(output),
        temperature=1.0,
        reward=0.0,
        shaped=0.0,
        advantage=0.0,
        tree_id="",
        node_id=0,
        policy_version=0,
        truncated=False,
    )


def _body(model: Any) -> Any:
    return model.base_model


def _head(model: Any) -> Any:
    return model.get_output_embeddings()
