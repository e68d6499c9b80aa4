"""A calibration in words: what is promised, what has to hold for it, what could not be checked.

In: a request and facts about the data set; a `Calibration`. Out: lines for people.
"""

from __future__ import annotations

from segood.data.dataset import SegmentationDataset
from segood.deployment.calibration.request import CalibrationRequest
from segood.deployment.calibration.results import Calibration
from segood.segments.region import Region, describe_region

_LOSSES = {
    "pixel_fpr": "share of a frame's in-distribution pixels that are flagged",
    "missed_objects": "share of a frame's unknown objects without any flagged pixel",
    "false_alarms": "false alarms per frame",
}


def assumptions(request: CalibrationRequest, unit: str, resolution: str, region: Region | None) -> list[str]:
    """Return what has to hold for the promise, one sentence each."""
    drawn = {
        "crc": "exchangeable: as if all had been drawn from one pot, whose order tells nothing",
        "ltt": "independent draws from one distribution",
    }[request.method]
    size = "at the size of their labels" if resolution == "label" else f"resized to {resolution.split()[0]}"
    short = unit.split(",")[0].split(":")[0]
    found = [
        f"the units ({short}) of the calibration set and those of the field are {drawn}; another camera, "
        "season or country breaks it",
        f"the labels are right, and the same network sees frames {size}, in the same region "
        f"({describe_region(region)})",
    ]
    if request.target == "missed_objects":
        found.append(
            "an object is found where any pixel of it is flagged, before the meta classifier removes any"
        )
    if request.target == "false_alarms":
        found.append(f"a frame with more than {request.cap:g} false alarms counts as {request.cap:g}")
    return found


def caveats(
    dataset: SegmentationDataset, unit: str, left_out: str, num_unjudged: int, missed_share: float | None
) -> list[str]:
    """Return what is known to be weak, one sentence each."""
    found = []
    if missed_share == 1:
        found.append(
            "at these thresholds every object of the calibration set is missed: the target is held by a "
            "monitor that finds nothing"
        )
    if unit.startswith("frame"):
        found.append(
            "every frame counts as a unit of its own; where frames show the same scene, there are fewer "
            "independent ones than counted, and the promise is weaker (`--unit`)"
        )
    if left_out:
        found.append(f"left out: {left_out}")
    if num_unjudged:
        found.append(f"left out: {num_unjudged} segments on ignored pixels only, which nobody can judge")
    if dataset.role == "closed_set":
        found.append("the labels know no unknown objects: a real one in an ignored area is not seen as one")
    return found


def format_calibration(found: Calibration) -> str:
    """Return the summary that `segood calibrate` prints."""
    loss = _LOSSES[found.target]
    if found.cap is not None:
        loss += f", at most {found.cap:g} counted"
    meta = (
        "" if found.probability_threshold is None else f", meta probability {found.probability_threshold:g}"
    )
    searched = {
        "meta": "meta probability threshold",
        "entropy": "entropy threshold",
        "both": "both thresholds",
    }
    lines = [
        f"thresholds   entropy {found.threshold:g}{meta}",
        f"searched     {searched[found.search]}, {found.num_tested} settings",
        f"target       {loss}: at most {found.alpha:g}",
        f"promise      {_promise(found)}",
        f"units        {found.num_units} ({found.unit}), {found.num_frames} frames of {found.dataset.title}",
        f"risk         {found.risk:.4g} on these; bound {found.bound:.4g}"
        + ("" if found.p_value is None else f"; p-value {found.p_value:.2g}"),
        f"also there   {_also(found)}",
    ]
    lines += [f"assumed      {text}" for text in found.assumptions]
    lines += [f"caution      {text}" for text in found.caveats]
    if found.splits is not None:
        lines.append(f"checked      {_splits(found)}")
    return "\n".join(lines)


def _promise(found: Calibration) -> str:
    if found.method == "crc":
        return (
            "expected value of the target in a new unit, over calibration sets like this one (conformal risk "
            "control)"
        )
    assert found.delta is not None
    return f"with probability {1 - found.delta:g} over calibration sets like this one (learn then test)"


def _also(found: Calibration) -> str:
    parts = []
    if found.pixel_fpr is not None:
        parts.append(f"pixel false positive rate {found.pixel_fpr:.4g}")
    if found.missed_share is not None:
        parts.append(f"objects missed {found.missed_share:.1%}")
    if found.alarms_per_frame is not None:
        parts.append(f"false alarms per frame {found.alarms_per_frame:.3g} (not capped)")
    return ", ".join(parts) + ": measured, not promised"


def _splits(found: Calibration) -> str:
    splits = found.splits
    assert splits is not None
    text = (
        f"{splits.num_splits} random splits, {splits.num_calibration} units to calibrate and "
        f"{splits.num_test} to test: "
    )
    if splits.mean_risk is None:
        return text + "no setting was found in any"
    text += f"mean test risk {splits.mean_risk:.4g}, above {found.alpha:g} in {splits.violations:.1%} of them"
    if splits.without_setting:
        text += f", no setting found in {splits.without_setting:.1%}"
    return text
