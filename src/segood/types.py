"""Label values and shape words shared by all packages.

Training targets hold a train id `0..q-1`, `OOD`, `IGNORE` or, where the original network is distilled,
`UNLABELED`; evaluation targets hold `IN_DISTRIBUTION`, `OUT_OF_DISTRIBUTION` or `IGNORE`.

Shapes are written with jaxtyping; the letters mean: `n` batch, `c` or `q` classes, `h` rows,
`w` columns, `k` segments, `m` features.
"""

OOD = 254
"""Training target of a pixel that is known to be out of distribution."""

UNLABELED = -1
"""Training target of a pixel that is no OoD object, but has no train id: only distillation learns from it."""

IGNORE = 255
"""Pixel without loss and without metric, in training and evaluation targets."""

IN_DISTRIBUTION = 0
"""Evaluation target of a pixel that shows something the network was trained on."""

OUT_OF_DISTRIBUTION = 1
"""Evaluation target of a pixel that shows an unknown object."""
