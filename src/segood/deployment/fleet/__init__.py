"""Mass scoring: many images, many workers, files of records that are each written once.

    listing     folders, lists, Parquet, URLs    -> names and sources, in a fixed order
    plan        these                            -> inputs.parquet and manifest.json, never changed again
    engine      partitions that are missing      -> Ray Data's actors, which hold the bundle
    worker      a partition's number             -> OUT/parts/part-00012.parquet, whole or not at all
    run         all of it                        -> OUT/summary.json

Names are imported on first use; only `engine` needs Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.deployment.fleet.options import FleetOptions as FleetOptions
    from segood.deployment.fleet.parts import read_part as read_part
    from segood.deployment.fleet.records import part_schema as part_schema
    from segood.deployment.fleet.run import predict_fleet as predict_fleet

_HOMES = {
    "FleetOptions": "options",
    "part_schema": "records",
    "predict_fleet": "run",
    "read_part": "parts",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
