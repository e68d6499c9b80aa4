"""A seeded world of drawn street scenes, in the layouts of the real data sets.

In: a seed and counts. Out: frames with exact labels on disk (`write_world`) or in memory
(`draw_street_scene`). Needs NumPy, OpenCV and Pillow, not torch.
"""

from segood.data.synthetic.families import OBSTACLE_FAMILIES, OVERLAY_FAMILIES, PROXY_FAMILIES
from segood.data.synthetic.scene import draw_street_scene
from segood.data.synthetic.world import WorldPaths, write_world

__all__ = [
    "OBSTACLE_FAMILIES",
    "OVERLAY_FAMILIES",
    "PROXY_FAMILIES",
    "WorldPaths",
    "draw_street_scene",
    "write_world",
]
