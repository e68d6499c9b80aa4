"""Calibration: thresholds with a distribution-free promise, for a stated target.

In: a run and a labelled data set that is new to it. Out: `Calibration`, saved as `calibration.json`. Names
are imported on first use, so reading a calibration costs no import of torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.deployment.calibration.calibrate import calibrate_run as calibrate_run
    from segood.deployment.calibration.problem import RiskProblem as RiskProblem
    from segood.deployment.calibration.request import CalibrationRequest as CalibrationRequest
    from segood.deployment.calibration.results import Calibration as Calibration
    from segood.deployment.calibration.risk_control import control_risk as control_risk
    from segood.deployment.calibration.testing import certify as certify
    from segood.deployment.calibration.words import format_calibration as format_calibration

_HOMES = {
    "Calibration": "results",
    "CalibrationRequest": "request",
    "RiskProblem": "problem",
    "calibrate_run": "calibrate",
    "certify": "testing",
    "control_risk": "risk_control",
    "format_calibration": "words",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
