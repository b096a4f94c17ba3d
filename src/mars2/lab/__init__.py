"""The embedded default: micro models and generated problem families, to run anywhere.

A test bed for the system, not a benchmark of models: see docs/lab.md. Importing it needs no
torch; only `mars2.lab.build` does.
"""

from mars2.lab.specs import SPECS, MicroSpec, cards, spec, weights_dir

__all__ = ["SPECS", "MicroSpec", "cards", "spec", "weights_dir"]
