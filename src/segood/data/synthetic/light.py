"""Light and weather: what shines on the scene, and what the air and the sensor do to the picture.

In: a canvas painted with surface colours. Out: `develop` gives the RGB picture; labels stay.
Shared by street scenes, proxies, obstacle and overlay scenes, so none can be told by its light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from segood.data.synthetic.canvas import DISTANCE_SCALE, Canvas, Color, mix, shade
from segood.data.synthetic.geometry import Camera
from segood.data.synthetic.textures import clouds

KINDS = ("sun", "overcast", "dusk")


@dataclass(frozen=True)
class Light:
    """One state of light, weather and sensor.

    Attributes:
        kind: "sun", "overcast" or "dusk".
        sun: unit vector towards the sun (x right, y up, z ahead).
        ambient, diffuse: brightness of a surface turned away from the sun, and what the sun adds.
        shadow: brightness of ground in the shade of the sun.
        tint: colour of the light, a factor per channel.
        sky_top, sky_bottom: colours of the sky.
        cloud_cover: 0 (blue) .. 1 (closed).
        haze: share of light lost per metre of air.
        rain: 0 (dry) .. 1 (streaks, wet road).
        noise: standard deviation of the sensor noise, in grey levels.
        blur: standard deviation of the lens blur, in pixels.
    """

    kind: str
    sun: tuple[float, float, float]
    ambient: float
    diffuse: float
    shadow: float
    tint: Color
    sky_top: Color
    sky_bottom: Color
    cloud_cover: float
    haze: float
    rain: float
    noise: float
    blur: float

    @property
    def lamps_on(self) -> bool:
        """Whether windows, lamps and headlights shine."""
        return self.kind == "dusk"

    def face(self, normal: tuple[float, float, float]) -> float:
        """Brightness of a surface with the given unit normal."""
        return self.ambient + self.diffuse * max(
            0.0, sum(a * b for a, b in zip(normal, self.sun, strict=True))
        )


def draw_light(rng: np.random.Generator) -> Light:
    """Draw light, weather and sensor: half sunny, a third overcast, the rest dusk; some fog, some rain."""
    kind = str(rng.choice(KINDS, p=[0.5, 0.32, 0.18]))
    azimuth, elevation = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 1.0)
    sun = (
        math.cos(elevation) * math.cos(azimuth),
        math.sin(elevation),
        math.cos(elevation) * math.sin(azimuth),
    )
    weather = rng.random()
    haze = rng.uniform(0.012, 0.03) if weather < 0.14 else rng.uniform(0.001, 0.005)
    rain = rng.uniform(0.4, 1.0) if kind != "sun" and weather > 0.75 else 0.0
    warm = rng.uniform(-1, 1)
    noise, blur = rng.uniform(1.0, 4.0), rng.uniform(0.25, 0.7)
    if kind == "sun":
        top = mix((70, 120, 195), (105, 160, 225), rng.random())
        bottom = mix((190, 212, 232), (225, 228, 225), rng.random())
        light = (
            0.62,
            0.55,
            0.56,
            (1.03 + 0.03 * warm, 1.0, 0.96 - 0.04 * warm),
            top,
            bottom,
            rng.uniform(0.0, 0.75),
        )
    elif kind == "overcast":
        grey = rng.uniform(165, 225)
        tone = (0.97 + 0.02 * warm, 1.0, 1.03 - 0.02 * warm)
        light = (0.78, 0.14, 0.86, tone, (grey, grey + 3, grey + 7), (grey + 18, grey + 19, grey + 20), 0.9)
    else:
        bottom = mix((236, 158, 96), (214, 170, 190), rng.random())
        light = (
            0.7,
            0.12,
            0.9,
            (0.58, 0.57, 0.68),
            mix((40, 52, 98), (78, 84, 130), rng.random()),
            bottom,
            0.5,
        )
        noise += 2.0
    return Light(kind, sun, *light, haze=haze, rain=rain, noise=noise, blur=blur)


def paint_sky(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator, label: int) -> None:
    """Paint gradient and clouds above the horizon, in final colours (glow 255)."""
    height, width = canvas.size
    rows = min(height, int(camera.horizon) + 2)
    share = (np.linspace(0, 1, rows) ** 1.4)[:, None, None]
    sky = np.asarray(light.sky_top) * (1 - share) + np.asarray(light.sky_bottom) * share
    sky = np.broadcast_to(sky, (rows, width, 3)).astype(np.float32)
    stretch = 256 / width * rng.uniform(0.6, 1.2)
    # clouds lie on a plane above: rows near the horizon squeeze more of the tile
    matrix = np.array([[stretch, 0, rng.uniform(0, 256)], [0, stretch * 1.6, rng.uniform(0, 256)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    density = cv2.warpAffine(clouds(), matrix, (width, rows), flags=flags, borderMode=cv2.BORDER_WRAP)
    opacity = np.clip((density - (1 - light.cloud_cover) * 0.75) * 2.6, 0, 1)[..., None] * 0.85
    if light.kind == "dusk":
        cloud = np.asarray(mix(light.sky_top, light.sky_bottom, 0.45))
    else:
        cloud = 238.0 - 42 * density[..., None] * (1.4 if light.kind == "overcast" else 0.6)
    sky = sky + (cloud - sky) * opacity
    fog = 1 - math.exp(-light.haze * 110)
    sky = sky + (np.asarray(haze_color(light)) - sky) * (fog * (0.35 + 0.65 * share))
    canvas.image[:rows] = np.clip(sky, 0, 255)
    canvas.codes[:rows] = (label, 0, 255)


def haze_color(light: Light) -> Color:
    """Colour of the air itself."""
    return (
        mix(light.sky_bottom, (205, 208, 210), 0.5) if light.kind != "dusk" else shade(light.sky_bottom, 0.72)
    )


def develop(canvas: Canvas, light: Light, rng: np.random.Generator) -> np.ndarray:
    """Turn painted surfaces into a picture: light colour, glow, haze, rain, blur and noise.

    Returns:
        uint8 (H,W,3) RGB.
    """
    height, width = canvas.size
    image = canvas.image.astype(np.float32)
    glow = canvas.codes[..., 2].astype(np.float32)[..., None] / 255
    tint = np.asarray(light.tint, dtype=np.float32)
    image *= tint + (1 - tint) * glow
    codes = np.arange(256) / 255
    table = np.power(np.maximum(1 - codes, 1e-3), DISTANCE_SCALE * light.haze).astype(np.float32)
    clear = table[canvas.codes[..., 1]]
    # the soft rim of far things reaches into the sky and lies in the same air as they do
    sky = canvas.codes[..., 1] == 0
    clear[sky] = cv2.erode(clear, np.ones((3, 3), np.uint8))[sky]
    clear = clear[..., None]
    air = np.asarray(haze_color(light), dtype=np.float32)
    image = air + (image - air) * clear
    if light.lamps_on:
        image += _bloom(image, glow, canvas)
    if light.rain:
        _add_rain(image, light.rain, rng)
    image = cv2.GaussianBlur(image, (0, 0), light.blur * height / 256)
    image += rng.standard_normal((height, width, 1), dtype=np.float32) * light.noise
    image += rng.standard_normal((height, width, 3), dtype=np.float32) * (0.5 * light.noise)
    return np.rint(np.clip(image, 0, 255, out=image)).astype(np.uint8)


def _bloom(image: np.ndarray, glow: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Light that spills over from lamps; the sky's glow does not count."""
    lamps = image * glow * (canvas.codes[..., 1:2] > 0)
    small = cv2.resize(lamps, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, image.shape[0] / 64))
    return cv2.resize(small, (image.shape[1], image.shape[0])) * 0.8


def _add_rain(image: np.ndarray, rain: float, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    count = int(rain * 90)
    start = rng.random((count, 2)) * (width, height)
    length = rng.uniform(0.02, 0.07, count) * height
    slant = rng.normal(0, 0.12)
    layer = np.zeros((height, width), dtype=np.uint8)
    for (x, y), n in zip(start, length, strict=True):
        a, b = (round(x * 16), round(y * 16)), (round((x + slant * n) * 16), round((y + n) * 16))
        cv2.line(layer, a, b, (255,), 1, cv2.LINE_AA, 4)
    image += (200 - image) * (layer.astype(np.float32)[..., None] * (0.16 / 255))
