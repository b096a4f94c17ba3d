"""Sample files that other evaluators read and write: out of a run, and in again to be judged."""
