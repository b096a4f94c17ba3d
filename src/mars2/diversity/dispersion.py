"""How spread out solutions are: pure functions of distances and counts.

Means over pairs do not depend on the number of solutions in expectation: each pair of independent
solutions has the same expected distance (a U-statistic, Hoeffding 1948). The entropy and the Vendi
score do depend on it, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mars2.errors import Mars2Error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def cosine_distances(vectors: Matrix) -> Matrix:
    """1 − cos between all rows of [n, d]; [n, n], in [0, 2], and in [0, 1] without negative parts.

    A zero row is at distance 1 of every other row but another zero row, at 0.

    Raises:
        Mars2Error: a value is not finite.
    """
    import numpy as np

    rows = np.asarray(vectors, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise Mars2Error("an embedding is not finite; the model's weights or precision are broken")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    zero = norms[:, 0] == 0
    unit = rows / np.where(norms == 0, 1.0, norms)
    distances = np.clip(1.0 - unit @ unit.T, 0.0, 2.0)
    distances[np.ix_(zero, zero)] = 0.0
    np.fill_diagonal(distances, 0.0)
    return distances


def mean_within(distances: Matrix, rows: Sequence[int]) -> float:
    """Mean distance of all pairs of these rows, 2/(n(n−1))·Σ_{i<j} d_ij; NaN for fewer than two."""
    n = len(rows)
    if n < 2:
        return math.nan
    part = distances[list(rows)][:, list(rows)]
    return float((part.sum() - part.trace()) / (n * (n - 1)))


def mean_between(distances: Matrix, a: Sequence[int], b: Sequence[int]) -> float:
    """Mean distance of all pairs of one row of `a` and one of `b`; NaN if one of them is empty."""
    if not a or not b:
        return math.nan
    return float(distances[list(a)][:, list(b)].mean())


def vendi(distances: Matrix) -> float:
    """exp(−Σ λ ln λ) over the eigenvalues λ of K/n, K = 1 − distances: effectively how many.

    Between 1 (all equal) and n (all orthogonal); grows with n. Source: Friedman and Dieng 2023
    (arXiv 2210.02410), definition 3.1. `distances` are cosine distances, so K is positive
    semi-definite. NaN for no rows.
    """
    import numpy as np

    n = len(distances)
    if n == 0:
        return math.nan
    values = np.linalg.eigvalsh((1.0 - distances) / n)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def entropy_bits(counts: Iterable[int]) -> float:
    """Shannon entropy −Σ p log₂ p of the shares; 0 for one kind, at most log₂(kinds).

    Too low on average: see `miller_madow`. NaN for no counts.
    """
    shares = [c for c in counts if c > 0]
    total = sum(shares)
    if not total:
        return math.nan
    return max(0.0, -math.fsum(c / total * math.log2(c / total) for c in shares))


def miller_madow(counts: Iterable[int]) -> float:
    """Entropy in bits plus (kinds seen − 1) / (2 n ln 2), the first term of its bias.

    Source: Miller 1955; see Paninski 2003 (Neural Computation 15:1191), section 4. May exceed
    log₂ of the kinds seen, because it allows for kinds not seen.
    """
    shares = [c for c in counts if c > 0]
    if not shares:
        return math.nan
    return entropy_bits(shares) + (len(shares) - 1) / (2 * sum(shares) * math.log(2))


def differ(counts: Iterable[int]) -> float:
    """Chance that two solutions, drawn without putting back, are of different kinds.

    1 − Σ c(c − 1) / (n(n − 1)): the unbiased Gini-Simpson index (Simpson 1949). NaN for n < 2.
    """
    shares = list(counts)
    n = sum(shares)
    if n < 2:
        return math.nan
    return 1.0 - sum(c * (c - 1) for c in shares) / (n * (n - 1))
