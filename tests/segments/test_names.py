"""The one table of feature names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from segood.errors import UsageError
from segood.segments import (
    FEATURE_GROUPS,
    describe_feature,
    feature_group,
    feature_names,
    published_names,
)


def test_count_order_and_published_names() -> None:
    names = published_names(19)
    assert len(names) == len(set(names.values())) == 75
    assert feature_names(19) == list(names)
    assert feature_names(["a", "b"]) == feature_names(2)
    assert [names[f"entropy_{name}"] for name in ("mean", "mean_interior", "variance_relative_interior")] == [
        "E",
        "E_in",
        "E_var_rel_in",
    ]
    assert (names["margin_mean_boundary"], names["variation_ratio_variance"]) == ("D_bd", "V_var")
    assert (names["center_row"], names["center_col"]) == ("mean_x", "mean_y")
    assert (names["class_probability_18"], names["neighbor_share_0"]) == ("cprob18", "ndist0")


def test_every_feature_has_a_group_and_its_own_words() -> None:
    names = feature_names(3)
    words = [describe_feature(name, ["road", "sky", "tree"]) for name in names]
    assert len(set(words)) == len(names)
    assert {feature_group(name) for name in names} == set(FEATURE_GROUPS)
    assert (
        describe_feature("variation_ratio_variance_interior") == "variance of variation ratio in the interior"
    )
    assert describe_feature("class_probability_2", ["road", "sky"]) == "mean probability of class 2"


@pytest.mark.parametrize("name", ["speed", "size_of_all", "entropy_median", "neighbor_share_x"])
def test_unknown_features(name: str) -> None:
    with pytest.raises(UsageError, match="`name` must"):
        describe_feature(name)


def test_one_class_is_no_choice() -> None:
    with pytest.raises(UsageError, match="`classes` must be at least 2 classes; got 1"):
        feature_names(["road"])


def test_names_and_components_do_not_import_torch() -> None:
    code = "import sys, segood.segments as s; s.feature_names(2); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
