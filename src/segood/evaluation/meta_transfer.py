"""Meta classifiers from one data set to another, and which features they go by.

In: rows of segment tables, of one method. Out: `Transfer` and `FeaturePath` records.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 3.2; Efron et al., Least Angle Regression, 2004.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from segood.checks import check_choice, check_unit_interval
from segood.errors import UndefinedMetricError, UsageError
from segood.evaluation.bootstrap import Bootstrap
from segood.evaluation.comparison.results import FeaturePath, Transfer
from segood.evaluation.false_alarms import features_of
from segood.evaluation.meta_counts import GroundTruth, count_errors, meta_record, undefined_record
from segood.meta import MetaClassifier, NeuralMetaClassifier, lars_path
from segood.meta.cross_validation import CLASSIFIERS


def transfer(
    tables: Mapping[str, pd.DataFrame],
    ground_truth: Mapping[str, GroundTruth],
    method: str,
    *,
    classifier: str = "linear",
    probability_threshold: float = 0.5,
    bootstraps: Mapping[str, Bootstrap] | None = None,
    seed: int = 0,
) -> list[Transfer]:
    """Fit the meta classifier on all segments of one data set and apply it to every other one.

    Args:
        tables: data set -> rows of one method, as for `meta_numbers`.
        ground_truth: data set -> OoD segments per frame, or their total (no interval then).
        method: key for the records.
        classifier: "linear" or "neural".
        probability_threshold: as for `meta_numbers`.
        bootstraps: data set -> draws over its images; those that are missing have no intervals.
        seed: of the neural classifier.

    Returns:
        One record per ordered pair of different data sets, in the order of `tables`. Where the first one
        has no segments of both kinds, `undefined` says so; where the second one has not, AUROC and
        AUPRC are None.

    Raises:
        UsageError: data sets whose features differ, and as `meta_numbers`.

    Example:
        >>> def rows(sizes):
        ...     table = pd.DataFrame({"sample_id": "a", "segment": [1, 2], "size": sizes})
        ...     return table.assign(ground_truth=[[], [1]], is_false_positive=[True, False])
        >>> results = transfer({"x": rows([5, 90]), "y": rows([9, 70])}, {"x": 1, "y": 1}, "entropy")
        >>> [(t.fitted_on, t.applied_to, t.meta.errors.value) for t in results]
        [('x', 'y', 0), ('y', 'x', 0)]
    """
    check_choice("classifier", classifier, CLASSIFIERS)
    check_unit_interval("probability_threshold", probability_threshold)
    _check_same_features(tables)
    results = []
    for source, fitted_on in tables.items():
        protocol, reason = f"transfer from {source}", None
        model: MetaClassifier | NeuralMetaClassifier = (
            NeuralMetaClassifier(probability_threshold, seed=seed)
            if classifier == "neural"
            else MetaClassifier(probability_threshold)
        )
        try:
            model.fit(features_of(fitted_on), fitted_on["is_false_positive"].to_numpy(bool))
        except UndefinedMetricError as error:
            reason = str(error)
        for target, rows in tables.items():
            if target == source:
                continue
            if reason is not None:
                numbers = undefined_record(rows, protocol, classifier, reason)
            else:
                probabilities = model.predict_proba(features_of(rows)) if len(rows) else np.zeros(0)
                removed = probabilities >= probability_threshold
                bootstrap = (bootstraps or {}).get(target)
                errors = count_errors(rows[~removed], ground_truth[target], bootstrap)
                numbers = meta_record(
                    rows, probabilities, removed, errors, protocol=protocol, classifier=classifier
                )
            results.append(Transfer(method, source, target, numbers))
    return results


def feature_path(rows: pd.DataFrame, method: str, dataset: str, limit: int = 20) -> FeaturePath | None:
    """Return the order in which least-angle regression takes the features in.

    Args:
        rows: of one method on one data set, as for `meta_numbers`.
        method, dataset: keys for the record.
        limit: features at most, ≥ 1; and at most half as many as there are segments, since a path that
            fits every segment exactly has coefficients without meaning.

    Returns:
        The path from "no feature" to that many features; None where not both kinds of segments occur.

    Raises:
        UsageError: `limit` below 1, features that are not finite.

    Example:
        >>> rows = pd.DataFrame({"size": [3.0, 40, 5, 60], "entropy_mean": [0.7, 0.9, 0.8, 0.9]})
        >>> path = feature_path(rows.assign(is_false_positive=[True, False, True, False]), "m", "d", limit=1)
        >>> path.order, len(path.alphas), path.coefficients[0][0]
        (['size'], 2, 0.0)
    """
    if limit < 1:
        raise UsageError(f"`limit` must be at least 1; got {limit}")
    try:
        ranking = lars_path(features_of(rows), rows["is_false_positive"].to_numpy(bool))
    except UndefinedMetricError:
        return None
    limit = min(limit, max(ranking.num_segments // 2, 1))
    order = list(ranking.order[:limit])
    steps = slice(0, limit + 1)
    return FeaturePath(
        method=method,
        dataset=dataset,
        num_segments=ranking.num_segments,
        num_false_positives=ranking.num_false_positives,
        order=order,
        alphas=ranking.alphas[steps].tolist(),
        coefficients=ranking.coefficients.loc[order].to_numpy()[:, steps].tolist(),
    )


def _check_same_features(tables: Mapping[str, pd.DataFrame]) -> None:
    names = {key: set(features_of(rows).columns) for key, rows in tables.items() if len(rows)}
    for key, found in names.items():
        first = next(iter(names))
        differing = sorted(found ^ names[first])
        if differing:
            raise UsageError(
                f"`tables` must have the same features; {key} and {first} differ in {len(differing)}, "
                f"first {differing[0]}"
            )
