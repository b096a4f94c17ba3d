"""What a run needs before it is started: memory, time, cost, and how idle its parts will be.

Arithmetic on settings, model shapes and stated hardware numbers; nothing is loaded, no torch.
docs/plan.md has the formulas and what they were checked against.
"""
