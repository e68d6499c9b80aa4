"""Speed of what segood exists for, as ratios against named peers in one process run."""
