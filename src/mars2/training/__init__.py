"""Learning from trees: credit, objective, buffers, learners, checkpoints, the training loop.

`sample`, `credit`, `buffer` and `rundir` are pure Python; the rest needs the extra `train`.
"""
