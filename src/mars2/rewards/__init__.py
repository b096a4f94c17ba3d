"""Reward models: what they are trained on, how, and how good they are at choosing an answer.

`base` is what users of a reward model see and imports no torch; only `model` and `train` do.
"""
