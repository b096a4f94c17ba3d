"""MARS²: multi-agent tree search and reinforcement learning on code."""

__version__ = "0.1.0"
