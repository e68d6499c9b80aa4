"""Who and what is on the street: frontages, trees, furniture, traffic and people.

In: camera, street and light. Out: `Item`s, each with its label, to be painted far to near.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segood.data.synthetic import buildings, furniture, greenery, people, vehicle_models, vehicles
from segood.data.synthetic import labels as ids
from segood.data.synthetic.canvas import Canvas
from segood.data.synthetic.geometry import NEAR, Camera
from segood.data.synthetic.items import Item, box, item
from segood.data.synthetic.light import Light
from segood.data.synthetic.street import Side, Street

VEHICLE_LABELS = {"truck": ids.TRUCK, "bus": ids.BUS, "tram": ids.TRAIN}


def populate(rng: np.random.Generator, camera: Camera, street: Street, light: Light) -> list[Item]:
    """Draw everything that stands on a street without unknown objects."""
    # each group has its own stream: painting draws details, and must not disturb the plan
    streams = rng.spawn(4)
    items: list[Item] = []
    for side in street.sides:
        items += _frontage(streams[0], camera, light, side)
        items += _furniture(streams[1], camera, light, side)
    items += _traffic(streams[2], camera, street, light)
    items += _people(streams[3], camera, street, light)
    return items


def _frontage(rng: np.random.Generator, camera: Camera, light: Light, side: Side) -> list[Item]:
    """Line one side with houses, walls, fences, hedges and trees.

    A stretch is sorted by its far end: whatever stands beside it stands nearer to the middle of the
    street, so it can hide the stretch but never be hidden by it.
    """
    items = []
    leafy = rng.random()
    z = rng.uniform(-6, 2)
    x, s = side.frontage, side.sign
    while z < 125:
        end = z + rng.uniform(7, 18)
        kind = str(rng.choice(["house", "wall", "fence", "hedge", "gap"], p=_shares(leafy)))
        if end > NEAR + 0.3:
            if kind == "house":
                items.append(_house(rng, camera, light, s, x + s * rng.uniform(0, 1.5), (z, end)))
            elif kind != "gap":
                items.append(_barrier(rng, camera, light, (s, x, max(z, NEAR), end), kind))
            if kind != "house":
                items += _trees(rng, camera, light, x, s, (z, end))
        z = end + (rng.uniform(1, 6) if kind == "house" and rng.random() < 0.3 else 0.0)
    return items


def _house(
    rng: np.random.Generator, camera: Camera, light: Light, s: int, front: float, stretch: tuple[float, float]
) -> Item:
    detail = rng.spawn(1)[0]
    house = buildings.draw_house(rng, s, front, *stretch)
    near, far = max(stretch[0], NEAR), stretch[1]

    def paint(canvas: Canvas) -> None:
        buildings.paint_house(canvas, camera, light, detail, house)

    foot = box(front, front + s * house.depth, near, far)
    return replace(item(near, ids.BUILDING, paint, foot, house.height), z=far)


def _barrier(
    rng: np.random.Generator, camera: Camera, light: Light, line: tuple[int, float, float, float], kind: str
) -> Item:
    detail = rng.spawn(1)[0]
    s, x, near, far = line

    def paint(canvas: Canvas) -> None:
        if kind == "hedge":
            greenery.paint_hedge(canvas, camera, light, detail, line)
        else:
            buildings.paint_barrier(canvas, camera, light, detail, line, kind)

    label = {"wall": ids.WALL, "fence": ids.FENCE, "hedge": ids.VEGETATION}[kind]
    return replace(item(near, label, paint, box(x, x + s * 0.4, near, far), 1.5), z=far)


def _shares(leafy: float) -> list[float]:
    """Shares of house, wall, fence, hedge and gap, from a dense (0) to a leafy (1) street."""
    house = 0.85 - 0.5 * leafy
    rest = 1 - house
    return [house, rest * 0.2, rest * 0.22, rest * 0.28, rest * 0.3]


def _trees(
    rng: np.random.Generator, camera: Camera, light: Light, x: float, s: int, stretch: tuple[float, float]
) -> list[Item]:
    """Plant trees behind the frontage; they are painted just before what stands on it."""
    items = []
    for _ in range(rng.integers(1, 4)):
        tree_x, z = x + s * rng.uniform(1.5, 9), rng.uniform(max(stretch[0], 4.0), max(stretch[1], 4.5))
        items.append(replace(_tree(rng, camera, light, tree_x, z), z=stretch[1] + 1e-3 * z))
    return items


def _tree(rng: np.random.Generator, camera: Camera, light: Light, x: float, z: float) -> Item:
    detail = rng.spawn(1)[0]
    bush, height = rng.random() < 0.25, rng.uniform(4, 10)

    def paint(canvas: Canvas) -> None:
        if bush:
            greenery.paint_bush(canvas, camera, light, detail, x, z, height * 0.18)
        else:
            greenery.paint_tree(canvas, camera, light, detail, x, z, height)

    foot = greenery.crown_shadow(x, z, 0.7 if bush else 0.4)
    return item(z, ids.VEGETATION, paint, foot, 1.0 if bush else height)


def _furniture(rng: np.random.Generator, camera: Camera, light: Light, side: Side) -> list[Item]:
    items = []
    x = side.edge + side.sign * 0.6
    if rng.random() < 0.7:
        for z in np.arange(rng.uniform(6, 20), 110, rng.uniform(18, 30)):
            items.append(_post(rng, camera, light, x, float(z), "lamp", -side.sign * 1.4))
    for kind, chance, most in (("sign", 0.8, 3), ("light", 0.35, 2), ("bollard", 0.25, 8)):
        if rng.random() < chance:
            for _ in range(rng.integers(1, most + 1)):
                items.append(
                    _post(
                        rng, camera, light, x + side.sign * rng.uniform(-0.1, 0.5), rng.uniform(6, 45), kind
                    )
                )
    if side.verge and rng.random() < 0.75:
        for z in np.arange(rng.uniform(6, 14), 110, rng.uniform(7, 14)):
            items.append(_tree(rng, camera, light, side.edge + side.sign * side.verge * 0.6, float(z)))
    return items


def _post(
    rng: np.random.Generator, camera: Camera, light: Light, x: float, z: float, kind: str, reach: float = 0.0
) -> Item:
    detail = rng.spawn(1)[0]

    def paint(canvas: Canvas) -> None:
        if kind == "lamp":
            furniture.paint_lamp(canvas, camera, light, detail, x, z, reach)
        elif kind == "sign":
            furniture.paint_sign(canvas, camera, light, detail, x, z)
        elif kind == "light":
            furniture.paint_traffic_light(canvas, camera, light, detail, x, z)
        else:
            furniture.paint_bollard(canvas, camera, light, x, z)

    return Item(z, paint, box(x - 0.08, x + 0.08, z - 0.08, z + 0.08), 3.0)


def _traffic(rng: np.random.Generator, camera: Camera, street: Street, light: Light) -> list[Item]:
    items: list[Item] = []
    lanes = [line - street.lane_width / 2 for line in street.lane_lines]
    lanes.append(street.lane_lines[-1] + street.lane_width / 2)
    middle = street.lane_lines[street.middle]
    for x in lanes:
        away = x > middle
        z = rng.uniform(9, 40) if abs(x) < 1 else rng.uniform(4, 40)
        while z < 110:
            kind = str(rng.choice(["car", "truck", "bus", "tram", "cycle"], p=[0.72, 0.08, 0.06, 0.04, 0.1]))
            if kind == "cycle":
                items += _cyclist(rng, camera, light, x + rng.uniform(-0.8, 0.8), z)
                z += 6
            else:
                car = vehicle_models.draw_vehicle(rng, kind, x + rng.normal(0, 0.12), z, away)
                items.append(_vehicle(rng, camera, light, car))
                z += car.length
            z += rng.uniform(5, 45)
    for side in street.sides:
        z = rng.uniform(3, 12)
        while side.parking and z < 90:
            if rng.random() < 0.72:
                x = side.edge - side.sign * 1.1
                away = bool((side.sign > 0) ^ (rng.random() < 0.15))
                car = vehicle_models.draw_vehicle(rng, "car", x, z, away)
                items.append(_vehicle(rng, camera, light, car))
            z += rng.uniform(5.5, 7.5)
    return items


def _vehicle(rng: np.random.Generator, camera: Camera, light: Light, car: vehicle_models.Vehicle) -> Item:
    detail = rng.spawn(1)[0]

    def paint(canvas: Canvas) -> None:
        vehicles.paint_vehicle(canvas, camera, light, detail, car)

    return item(car.z, VEHICLE_LABELS.get(car.kind, ids.CAR), paint, box(*car.footprint), car.height)


def _cyclist(rng: np.random.Generator, camera: Camera, light: Light, x: float, z: float) -> list[Item]:
    detail = rng.spawn(1)[0]
    motor, turn = rng.random() < 0.35, float(rng.choice([-1, 1])) * rng.uniform(0.1, 1.0)

    def paint(canvas: Canvas) -> None:
        column, row = camera.project([(x, 0, z)])[0]
        foot, scale = (column, row), camera.scale(z)
        canvas.pen(label=ids.MOTORCYCLE if motor else ids.BICYCLE, distance=z)
        (people.paint_motorcycle if motor else people.paint_bicycle)(canvas, light, detail, foot, scale, turn)
        canvas.pen(label=ids.RIDER, distance=z)
        people.paint_rider(canvas, light, detail, foot, scale, turn)

    half = 0.25 + 0.6 * abs(turn)
    return [Item(z, paint, box(x - half, x + half, z - 0.2, z + 0.2), 1.7)]


def _people(rng: np.random.Generator, camera: Camera, street: Street, light: Light) -> list[Item]:
    items = []
    spots = []
    for side in street.sides:
        for _ in range(rng.poisson(3)):
            width = abs(side.frontage - side.edge)
            spots.append((side.edge + side.sign * rng.uniform(0.4, width), rng.uniform(5, 55)))
    if street.crossing is not None:
        for _ in range(rng.poisson(1.5)):
            spots.append(
                (rng.uniform(street.left.edge, street.right.edge), street.crossing + rng.uniform(0, 2.5))
            )
    for x, z in spots:
        items.append(_walker(rng, camera, light, x, z))
    for side in street.sides:
        if rng.random() < 0.4:
            for _ in range(rng.integers(1, 4)):
                x = side.edge + side.sign * rng.uniform(0.7, 1.4)
                items.append(_parked_cycle(rng, camera, light, x, rng.uniform(5, 35)))
    return items


def _walker(rng: np.random.Generator, camera: Camera, light: Light, x: float, z: float) -> Item:
    detail = rng.spawn(1)[0]

    def paint(canvas: Canvas) -> None:
        column, row = camera.project([(x, 0, z)])[0]
        people.paint_person(canvas, light, detail, (column, row), camera.scale(z))

    return item(z, ids.PERSON, paint, box(x - 0.22, x + 0.22, z - 0.15, z + 0.15), 1.7)


def _parked_cycle(rng: np.random.Generator, camera: Camera, light: Light, x: float, z: float) -> Item:
    detail = rng.spawn(1)[0]
    motor, turn = rng.random() < 0.35, float(rng.choice([-1, 1])) * rng.uniform(0.4, 1.0)

    def paint(canvas: Canvas) -> None:
        column, row = camera.project([(x, 0, z)])[0]
        draw = people.paint_motorcycle if motor else people.paint_bicycle
        draw(canvas, light, detail, (column, row), camera.scale(z), turn)

    label = ids.MOTORCYCLE if motor else ids.BICYCLE
    return item(z, label, paint, box(x - 0.7, x + 0.7, z - 0.15, z + 0.15), 0.9)
