"""Meta classification of a run as aligned text: removals by size, transfers, rankings, reasons.

In: `MetaInspection`. Out: text for the terminal; features are named in words.
"""

from __future__ import annotations

from segood.evaluation.comparison.results import FeaturePath, RemovedBySize, Transfer
from segood.evaluation.meta_explanation import Explanation
from segood.evaluation.meta_inspection import MetaInspection
from segood.evaluation.results import RunResults
from segood.reporting.formats import MISSING, count, metric, signed
from segood.reporting.statistics import feature_words
from segood.reporting.tables import aligned, format_table


def format_inspection(inspection: MetaInspection) -> str:
    """Return the run's tables, and below them whatever the inspection holds.

    Args:
        inspection: as `segood.evaluation.meta_inspection.inspect_run` returns it.

    Returns:
        Text without a final line break.
    """
    results = inspection.results
    parts = [format_table(results)]
    if inspection.by_size:
        parts.append(format_by_size(inspection.by_size, results))
    if inspection.transfers is not None:
        parts.append(format_transfers(inspection.transfers, results))
    if inspection.paths is not None:
        parts += [format_ranking(path, results) for path in inspection.paths]
        ranked = {(path.method, path.dataset) for path in inspection.paths}
        left_out = [
            f"{MISSING} {_dataset(results, i.dataset)}, {_model(results, i.model)}: "
            "no feature ranking, its segments are not of both kinds"
            for i in results.segment
            if (i.model, i.dataset) not in ranked
        ]
        parts += ["\n".join(left_out)] if left_out else []
    if inspection.explanation is not None:
        parts.append(format_explanation(inspection.explanation, results))
    return "\n\n".join(parts)


def format_by_size(by_size: dict[tuple[str, str], list[RemovedBySize]], results: RunResults) -> str:
    """Return what was removed per size of the segments, one row per size.

    Example:
        >>> records = [RemovedBySize(0, 100, 9, 7, 2, 1), RemovedBySize(100, None, 3, 1, 4, 0)]
        >>> empty = RunResults("r", "", "", 0, "0", [], [])
        >>> print(format_by_size({("after", "streets"): records}, empty))
        Removed by the meta classifier
        data set  model  segment size  FP removed  TP lost
        ────────  ─────  ────────────  ──────────  ───────
        streets   after       0–99 px      7 of 9   1 of 2
                          from 100 px      1 of 3   0 of 4
          TP = predicted segments with an OoD pixel
    """
    rows = [
        [
            _dataset(results, dataset) if i == 0 else "",
            _model(results, model) if i == 0 else "",
            _size_range(item),
            f"{count(item.false_positives_removed)} of {count(item.num_false_positives)}",
            f"{count(item.true_positives_lost)} of {count(item.num_true_positives)}",
        ]
        for (model, dataset), items in by_size.items()
        for i, item in enumerate(items)
    ]
    header = ["data set", "model", "segment size", "FP removed", "TP lost"]
    note = "  TP = predicted segments with an OoD pixel"
    return "\n".join(["Removed by the meta classifier", *aligned(header, rows), note])


def format_transfers(transfers: list[Transfer], results: RunResults) -> str:
    """Return the numbers of classifiers fitted on one data set and applied to another.

    Example:
        >>> from segood.evaluation.comparison.results import MetaNumbers
        >>> meta = MetaNumbers("transfer from a", undefined="all 3 segments are objects")
        >>> empty = RunResults("r", "", "", 0, "0", [], [])
        >>> print(format_transfers([Transfer("after", "a", "b", meta)], empty))
        Meta classifier of one data set on another (linear)
        model  fitted → applied  errors  FP meta  FN meta  errors meta  AUROC ↑  AUPRC ↑  accuracy ↑  naive
        ─────  ────────────────  ──────  ───────  ───────  ───────────  ───────  ───────  ──────────  ─────
        after  a → b                  –        –        –            –        –        –           –      –
          – after, a → b: all 3 segments are objects
    """
    before = {(item.model, item.dataset): item.before_meta.errors for item in results.segment}
    rows, notes = [], []
    for item in transfers:
        meta, model = item.meta, _model(results, item.method)
        pair = f"{_dataset(results, item.fitted_on)} → {_dataset(results, item.applied_to)}"
        after = (meta.false_positives, meta.false_negatives, meta.errors)
        rows.append(
            [
                model, pair, count(before.get((item.method, item.applied_to))),
                *(count(None if n is None or n.value is None else round(n.value)) for n in after),
                *(metric(v) for v in (meta.auroc, meta.auprc, meta.accuracy, meta.naive_accuracy)),
            ]
        )  # fmt: skip
        if meta.undefined:
            notes.append(f"  {MISSING} {model}, {pair}: {meta.undefined}")
    header = ["model", "fitted → applied", "errors", "FP meta", "FN meta", "errors meta",
              "AUROC ↑", "AUPRC ↑", "accuracy ↑", "naive"]  # fmt: skip
    kinds = ", ".join(sorted({item.meta.classifier for item in transfers}))
    return "\n".join(
        [f"Meta classifier of one data set on another ({kinds})", *aligned(header, rows), *notes]
    )


def format_ranking(path: FeaturePath, results: RunResults) -> str:
    """Return the features of one model on one data set in the order of their entry.

    Example:
        >>> path = FeaturePath("after", "streets", 40, 30, ["size"], [0.3, 0.1], [[0.0, -0.2]])
        >>> print(format_ranking(path, RunResults("r", "", "", 0, "0", [], [])))
        Features by LARS: streets, after (40 segments, 30 false positives)
        no.  feature           covariance  coefficient
        ───  ────────────────  ──────────  ───────────
        1    number of pixels       0.300       −0.200
          covariance = with "false positive" at entry; coefficient = at the last step shown, + for it
    """
    names = _class_names(results, path.method)
    rows = [
        [str(i + 1), feature_words(name, names), metric(path.alphas[i]), signed(path.coefficients[i][-1])]
        for i, name in enumerate(path.order)
    ]
    title = (
        f"Features by LARS: {_dataset(results, path.dataset)}, {_model(results, path.method)} "
        f"({count(path.num_segments)} segments, {count(path.num_false_positives)} false positives)"
    )
    note = '  covariance = with "false positive" at entry; coefficient = at the last step shown, + for it'
    return "\n".join([title, *aligned(["no.", "feature", "covariance", "coefficient"], rows), note])


def format_explanation(item: Explanation, results: RunResults) -> str:
    """Return the reasons behind one segment: its contributions to the logit, largest first.

    Example:
        >>> item = Explanation("after", "streets", "city/a", 3, True, 0.75, 1.1, 0.5, 0.7, True, 0.1,
        ...                    {"size": 1.0}, {"size": 12.0})
        >>> print(format_explanation(item, RunResults("r", "", "", 0, "0", [], [])))
        Segment 3 of city/a: streets, after
          false-alarm probability 0.750 (logit +1.100); removed from 0.5
          held out in the cross-validation: 0.700, removed; ground truth: false positive
        feature           name  value  contribution
        ────────────────  ────  ─────  ────────────
        number of pixels  size     12        +1.000
        intercept                            +0.100
    """
    names = _class_names(results, item.model)
    rows = [
        [feature_words(name, names), name, f"{item.values[name]:.4g}".replace("-", "−"), signed(part)]
        for name, part in item.contributions.items()
        if part != 0
    ]
    truth = "false positive" if item.is_false_positive else "object"
    held_out = (
        "undefined"
        if item.held_out_probability is None
        else f"{metric(item.held_out_probability)}, {'removed' if item.removed else 'kept'}"
    )
    lines = [
        f"Segment {item.segment} of {item.sample_id}: "
        f"{_dataset(results, item.dataset)}, {_model(results, item.model)}",
        f"  false-alarm probability {metric(item.probability)} (logit {signed(item.logit)}); "
        f"removed from {item.threshold:g}",
        f"  held out in the cross-validation: {held_out}; ground truth: {truth}",
    ]
    rows.append(["intercept", "", "", signed(item.intercept)])
    return "\n".join([*lines, *aligned(["feature", "name", "value", "contribution"], rows)])


def _size_range(item: RemovedBySize) -> str:
    if item.high is None:
        return f"from {count(item.low)} px"
    return f"{count(item.low)}–{count(item.high - 1)} px"


def _model(results: RunResults, key: str) -> str:
    return next((item.title for item in results.models if item.key == key), key)


def _dataset(results: RunResults, key: str) -> str:
    return next((item.title for item in results.datasets if item.key == key), key)


def _class_names(results: RunResults, model: str) -> list[str]:
    return next((item.class_names for item in results.models if item.key == model), [])
