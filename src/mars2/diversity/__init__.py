"""How different the solutions of a problem are, and how different the agents that wrote them.

Three levels (semantic, algorithmic, reasoning), duplicates, and the overlap of agents' errors; see
docs/diversity.md. Programs are data here: they are parsed, never run.
"""
