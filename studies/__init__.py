"""The study on real data: what matters in training, how far it goes, and why. Its rows are in `results/`."""
