"""What a reader of a run's report can move: both thresholds, and everything that follows from them.

In: a run's `exploration.json` and its frames. Out: sections, charts and records of the page.
"""
