"""Errors that a user can act on.

Every one says what was set, what is wrong and what to do; the command line prints the
message without a traceback and ends with `exit_code`.
"""

from __future__ import annotations


class Mars2Error(Exception):
    """Base of all errors that this package raises on purpose. Exit code 1."""

    exit_code = 1


class UsageError(Mars2Error):
    """Something the user wrote (option, config, file) cannot be used. Exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A config file or `--set` value is missing, malformed or names an unknown key."""


class ProblemError(UsageError):
    """A problem source or row is unusable; names the file, the row and the field."""


class AgentSpecError(UsageError):
    """An `--agent` spec names an unknown backend or model."""


class GenerationError(Mars2Error):
    """One request to a policy failed for good (after retries). Ends one node, not the run."""


class EndpointDownError(GenerationError):
    """The endpoint cannot be reached at all or refuses the credentials."""


class CapabilityError(UsageError):
    """A policy lacks what the job needs (for example log-probabilities for training)."""


class InfraError(Mars2Error):
    """The machinery around a program failed (worker died, no sandbox); never a verdict of 0."""


class SearchError(Mars2Error):
    """A search was told something impossible (unknown node, reward outside [0, 1], NaN)."""


class ResumeError(UsageError):
    """A run directory cannot be continued: it is not empty, not a run, or its config differs."""


class RuntimeLostError(Mars2Error):
    """A run's machines or processes cannot be had, or died too often; resuming starts anew."""


class LearnerLostError(Mars2Error):
    """A learner's processes or machines are gone; a run that is resumed starts them again."""


class TrainingError(Mars2Error):
    """Training cannot go on (no trainable policy, non-finite loss on every step, …)."""
