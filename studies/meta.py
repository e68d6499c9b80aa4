"""The meta classifier: which features matter, how much leave-one-out flatters, what transfers between sets.

In: an evaluated run, `segments.parquet` with the features and the truth of every predicted segment. Out: a
row per network and data set.

A segment is a false alarm if it holds no OoD pixel; AUROC and accuracy are those of telling false alarms.
*group* holds out whole images, *leave-one-out* single segments, whose neighbours from the same image stay in.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from segood.errors import UndefinedMetricError
from segood.evaluation.false_alarms import features_of
from segood.meta import MetaClassifier, cross_validate, lars_path
from segood.runs import SEGMENTS
from studies.rows import add_row, is_there, read_rows

TOLD_FEATURES = 8


def measure_meta(run: Path, network: str) -> None:
    """Add the rows of a run that are not there yet.

    Args:
        run: of `segood evaluate`, with the networks before and after training.
        network: how the rows call the network after it.
    """
    table = pd.read_parquet(run / SEGMENTS)
    for model, rows in table.groupby("model", sort=False):
        name = "before training" if model == "before" else network
        for dataset, own in rows.groupby("dataset", sort=False):
            key = {"network": name, "dataset": str(dataset)}
            if not is_there(read_rows("meta"), **key):
                others = {str(d): r for d, r in rows.groupby("dataset", sort=False) if d != dataset}
                add_row("meta", key | measure_table(own, others))


def measure_table(own: pd.DataFrame, others: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what a classifier makes of a data set's segments, by both protocols, and of other sets'."""
    features, false = features_of(own), own["is_false_positive"].to_numpy(bool)
    row: dict[str, Any] = {
        "segments": len(own),
        "false_alarms": int(false.sum()),
        "images": int(own["sample_id"].nunique()),
    }
    for protocol in ("group", "leave-one-out"):
        row[protocol] = _held_out(features, false, own["sample_id"].to_numpy(), protocol)
    if not 0 < row["false_alarms"] < row["segments"]:
        return row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant features: they have no place in the order
        row["first_features"] = [str(name) for name in lars_path(features, false).order[:TOLD_FEATURES]]
    fitted = MetaClassifier().fit(features, false)
    row["transfer"] = {name: _auroc(fitted, rows, list(features.columns)) for name, rows in others.items()}
    return row


def _held_out(
    features: pd.DataFrame, false: np.ndarray, images: np.ndarray, protocol: str
) -> dict[str, float | None]:
    try:
        found = cross_validate(features, false, images, protocol=protocol)
    except UndefinedMetricError:
        return {"auroc": None, "accuracy": None, "naive_accuracy": None}
    return {name: getattr(found, name) for name in ("auroc", "accuracy", "naive_accuracy")}


def _auroc(fitted: MetaClassifier, rows: pd.DataFrame, columns: list[str]) -> float | None:
    false = rows["is_false_positive"].to_numpy(bool)
    if false.all() or not false.any():
        return None
    return float(roc_auc_score(false, fitted.predict_proba(features_of(rows)[columns])))
