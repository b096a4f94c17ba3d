"""Where a run's parts compute: in this process, or as actors of a Ray cluster. The loop, the search
and the journal are the same, and stay in the process that was started.
"""
