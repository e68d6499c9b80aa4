"""Drawn scenes: exact labels, families that never mix, reproducible pixels."""

from __future__ import annotations

import numpy as np
import pytest

from segood.data.label_spaces import CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS
from segood.data.lost_and_found import NON_HAZARDS
from segood.data.synthetic import (
    OBSTACLE_FAMILIES,
    OVERLAY_FAMILIES,
    PROXY_FAMILIES,
    draw_street_scene,
    proxy_shapes,
    proxy_textures,
    solid_textures,
    solids,
)
from segood.data.synthetic import labels as ids
from segood.data.synthetic.canvas import Canvas, capsule, ellipse
from segood.data.synthetic.geometry import Camera, draw_camera
from segood.data.synthetic.light import Light, develop, draw_light
from segood.data.synthetic.obstacles import make_object, obstacle_items, overlay_items
from segood.data.synthetic.proxies import compose_proxy
from segood.data.synthetic.scene import compose_scene
from segood.errors import UsageError
from segood.types import IGNORE

SIZE = (128, 256)


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def clear_light() -> Light:
    """Light that leaves surface colours as they are: no tint, air, rain, noise or shadow."""
    return Light(
        "overcast", (0, 1, 0), 1.0, 0.0, 1.0, (1, 1, 1), (0, 0, 0), (0, 0, 0), 0.0, 0.0, 0.0, 0.0, 0.01
    )


def test_every_class_occurs_and_no_other_label() -> None:
    labels = np.concatenate([compose_scene(rng(1, i), SIZE).label_ids.ravel() for i in range(40)])
    found = set(np.unique(labels).tolist())
    trained = {k for k, v in CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS.items() if v != IGNORE}
    assert trained <= found
    assert found - trained <= {0}
    assert (labels == 0).mean() < 0.01  # hardly a pixel that nothing was painted on


def test_bonnet_is_the_ego_vehicle_and_ignored() -> None:
    scene = compose_scene(rng(2), SIZE, bonnet=True)
    assert scene.label_ids[-1, SIZE[1] // 2] == ids.EGO_VEHICLE
    assert ids.to_train_ids(scene.label_ids)[-1, SIZE[1] // 2] == IGNORE


def test_labels_follow_the_colours_to_the_pixel() -> None:
    # one flat colour per label: the picture of a polygon must be its label, apart from the soft rim
    canvas = Canvas((60, 80))
    canvas.pen(label=ids.ROAD, distance=0.0)
    canvas.polygon([(-5, -5), (90, -5), (90, 70), (-5, 70)], (10, 10, 10))
    canvas.pen(label=ids.CAR, distance=5.0)
    canvas.polygon(ellipse((40, 30), (20, 12), angle=0.4, count=40), (200, 200, 200))
    canvas.pen(label=ids.PERSON, distance=3.0)
    canvas.polygon(capsule((10, 50), (30, 20), 6, 3), (90, 0, 0))
    bright, red = (canvas.image == 200).all(-1), (canvas.image == (90, 0, 0)).all(-1)
    assert (canvas.labels[bright] == ids.CAR).all()
    assert (canvas.labels[red] == ids.PERSON).all()
    assert (canvas.labels == ids.CAR).sum() - bright.sum() < 0.25 * bright.sum()


def test_ellipse_by_hand() -> None:
    # half axes 2 and 1 around (5, 7): right, down, left, up
    np.testing.assert_allclose(ellipse((5, 7), (2, 1), count=4), [(7, 7), (5, 8), (3, 7), (5, 6)], atol=1e-12)
    np.testing.assert_allclose(ellipse((5, 7), (2, 1), angle=np.pi / 2, count=4)[0], (5, 9), atol=1e-12)


def test_develop_leaves_colours_alone_in_clear_light() -> None:
    canvas = Canvas(SIZE)
    canvas.image[...] = rng(3).integers(0, 256, (*SIZE, 3))
    np.testing.assert_array_equal(develop(canvas, clear_light(), rng(3)), canvas.image)


def test_camera_projects_by_the_pinhole_rule_and_inverts_on_the_ground() -> None:
    camera = Camera((200, 400), focal=300.0, center=200.0, horizon=80.0, height=1.5)
    # x = 2 m at z = 10 m: 200 + 300 * 2 / 10 = 260; ground: 80 + 300 * 1.5 / 10 = 125
    np.testing.assert_allclose(camera.project([(2, 0, 10)]), [(260, 125)])
    assert camera.ground_from_row(125.0) == pytest.approx(10.0)
    pixel = camera.ground_to_image(0.1, (1.0, 5.0)) @ (10, 50, 1)  # cell (10, 50): x = 2 m, z = 10 m
    np.testing.assert_allclose(pixel[:2] / pixel[2], (260, 125))


def test_bend_moves_far_points_sideways_only() -> None:
    straight = Camera(SIZE, 200.0, 128.0, 50.0)
    bent = Camera(SIZE, 200.0, 128.0, 50.0, bend=0.001)
    shift = bent.project([(0, 0, 40)]) - straight.project([(0, 0, 40)])
    np.testing.assert_allclose(shift, [(200 * 0.001 * 40, 0)])


def test_the_same_generator_state_gives_the_same_scene() -> None:
    first, second = draw_street_scene(rng(4), SIZE), draw_street_scene(rng(4), SIZE)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.target, second.target)
    assert (first.image != draw_street_scene(rng(5), SIZE).image).any()


def test_objects_do_not_change_the_street_around_them() -> None:
    plain = compose_scene(rng(6), SIZE).label_ids
    with_objects = compose_scene(rng(6), SIZE, objects=obstacle_items).label_ids
    same = with_objects < ids.OBJECT_BASE
    assert same.mean() > 0.6
    np.testing.assert_array_equal(plain[same], with_objects[same])


def test_families_of_proxies_and_evaluation_are_disjoint() -> None:
    evaluation = (*OBSTACLE_FAMILIES, *OVERLAY_FAMILIES)
    assert not {f.name for f in PROXY_FAMILIES} & {f.name for f in evaluation}
    assert not {f.shape for f in PROXY_FAMILIES} & {f.solid for f in evaluation}
    proxy_names = {t for f in PROXY_FAMILIES for t in f.textures}
    evaluation_names = {t for f in evaluation for t in f.textures}
    assert not proxy_names & evaluation_names
    # every name is drawn by the table of its own side, and neither table holds a stray entry
    assert {f.shape for f in PROXY_FAMILIES} == set(proxy_shapes.SHAPES)
    assert {f.solid for f in evaluation} == set(solids.SOLIDS)
    assert proxy_names == set(proxy_textures.TEXTURES)
    assert evaluation_names == set(solid_textures.TEXTURES)
    assert not set(proxy_textures.TEXTURES.values()) & {draw for draw, _ in solid_textures.TEXTURES.values()}


def test_obstacle_ids_are_those_of_lost_and_found() -> None:
    used = [label_id for family in OBSTACLE_FAMILIES for label_id in family.label_ids]
    assert len(used) == len(set(used))
    assert set(used) <= set(range(2, 44))
    assert set(NON_HAZARDS) <= set(used)
    for family in OBSTACLE_FAMILIES:  # a family is ignored by protocol `paper` as a whole or not at all
        assert len({label_id in NON_HAZARDS for label_id in family.label_ids}) == 1


@pytest.mark.parametrize("family", [*OBSTACLE_FAMILIES, *OVERLAY_FAMILIES], ids=lambda family: family.name)
def test_every_obstacle_can_be_seen(family) -> None:
    generator = rng(7)
    camera, light = draw_camera(generator, SIZE), draw_light(generator)
    canvas = Canvas(SIZE)
    make_object(generator, camera, light, family, (0.0, 0.0, 8.0), 101, 1.0).paint(canvas)
    mask = canvas.labels == 101
    assert mask.sum() > 25
    # as large as the solid must look at that distance, whichever way it is turned
    rows, columns = np.nonzero(mask)
    scale = camera.scale(8.0)
    assert np.ptp(columns) <= 1.35 * scale * np.hypot(family.extent[0], family.extent[2]) + 3
    assert np.ptp(rows) <= 1.6 * scale * (family.extent[1] + 0.35 * family.extent[2]) + 0.2 * scale + 3


@pytest.mark.parametrize("kind", ["objects", "overlay"])
def test_unknown_objects_are_varied_in_size_and_not_trivial_in_colour(kind: str) -> None:
    source = {"objects": obstacle_items, "overlay": overlay_items}[kind]
    areas, contrasts = [], []
    for index in range(24):
        scene = compose_scene(rng(8, index), SIZE, **{kind: source})
        is_object = scene.label_ids >= ids.OBJECT_BASE
        if is_object.any():
            areas.append(int(is_object.sum()))
            road = scene.image[scene.label_ids == ids.ROAD].mean(0)
            contrasts.append(float(np.abs(scene.image[is_object].mean(0) - road).mean()))
    assert len(areas) >= 20
    assert np.quantile(areas, 0.9) > 4 * np.quantile(areas, 0.1)
    assert min(contrasts) < 15  # some look much like the road
    assert max(contrasts) > 50  # some do not


def test_proxy_masks_are_disjoint_and_inside_the_picture() -> None:
    for index in range(6):
        scene = compose_proxy(rng(9, index))
        stacked = sum(instance.mask.astype(int) for instance in scene.instances)
        assert stacked.max() == 1
        assert all(instance.mask.shape == scene.image.shape[:2] for instance in scene.instances)


@pytest.mark.parametrize("size", [(127, 256), (256, 100), (256.0, 512), (256,), (8192, 512)])
def test_a_wrong_size_is_refused(size) -> None:
    with pytest.raises(UsageError, match=r"`size` must be \(height, width\), both from 128"):
        draw_street_scene(rng(0), size)


@pytest.mark.parametrize("size", [(128, 128), (300, 130), (130, 500)])
def test_any_shape_of_image_works(size) -> None:
    sample = draw_street_scene(rng(10), size)
    assert sample.image.shape == (*size, 3)
    assert sample.target is not None
    assert len(np.unique(sample.target)) >= 5
