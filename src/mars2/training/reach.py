"""How far the next optimizer step can carry the weights, known before it is made.

Losses need not show that weights are broken: a model divides by the norm of what it computes, and
over an infinite one everything is 0. Asking before the step leaves nothing to undo.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.distributed.tensor import DTensor


@torch.no_grad()
def bearable(optimizer: torch.optim.AdamW, rate: float) -> bool:
    """Whether float32 surely holds the sum of the squares of all weights after a step at `rate`.

    AdamW moves a weight by at most lr max(1, (1 - β1) / √(1 - β2)) (arXiv 1412.6980, section 2.1)
    and lets it decay by lr times `weight_decay`. False, too, where a weight is not finite already.
    """
    most = 0.0
    for group in optimizer.param_groups:
        if weights := group["params"]:
            norm = nn.utils.get_total_norm(weights)
            if isinstance(norm, DTensor):
                norm = norm.full_tensor()
            first, second = group["betas"]
            moved = rate * max(1.0, (1 - first) / math.sqrt(1 - second))
            most += float(norm) * abs(1 - rate * group["weight_decay"])
            most += moved * math.sqrt(sum(w.numel() for w in weights))
    return most < math.sqrt(torch.finfo(torch.float32).max)
