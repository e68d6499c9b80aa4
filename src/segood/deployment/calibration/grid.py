"""The settings that are tried: fixed here, before anything is measured, which makes tests of them valid.

Knows numbers only, so that the command line's help waits for nothing.
"""

STEPS = 1000
"""Pixels are counted by entropy in steps of 1/1000."""

GRID = tuple(step / STEPS for step in range(STEPS + 1))
"""Thresholds 0, 0.001, …, 1: of the entropy where pixels are counted, of the meta probability."""

SEGMENT_THRESHOLDS = tuple(step / 100 for step in range(30, 101))
"""Entropy thresholds 0.30, 0.31, …, 1, at which segments are counted where the threshold is searched for."""

PROBABILITY_THRESHOLDS = tuple(step / 10 for step in range(1, 11))
"""Meta probability thresholds 0.1, 0.2, …, 1 of the search over both."""
