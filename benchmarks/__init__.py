"""Speed and memory of segood, next to named peers: `python -m benchmarks`, or `make bench`.

Machines are noisy and absolute times do not travel, so what counts are ratios of medians, measured in one
process, our call and the peer's in turns.
"""
