"""What runs outside the calling process: a warm fork server and the programs it forks.

Standard library only. It is exec'd as a process of its own, so nothing of the caller (a trainer
with gigabytes of weights, its environment, expected outputs) is ever in a program's memory.
"""
