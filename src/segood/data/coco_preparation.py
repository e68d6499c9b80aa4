"""Rasterise the masks of all COCO proxies once, so that training need not.

In: the root folder of COCO and a filter. Out: a cache folder (see `proxy_cache`) with one PNG per
image that passes, the filter report as JSON, and the pixel frequencies as a figure (paper fig. 3).

Every file is written atomically and masks that stand are kept, so an interrupted run goes on where
it stopped.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from segood import runs
from segood.data.coco_annotations import CocoImage, read_coco_annotations
from segood.data.coco_layout import check_images_exist, check_stated_size, locate_coco
from segood.data.coco_masks import object_mask
from segood.data.images import image_size
from segood.data.proxy_cache import ProxyCache
from segood.data.proxy_filter import ProxyFilterReport, check_any_kept, filter_proxies
from segood.errors import DataError, UsageError
from segood.files import file_hash, write_bytes, write_image, write_json
from segood.types import OOD


@dataclass(frozen=True)
class PreparedProxies:
    """What `prepare_coco` left behind.

    Attributes:
        masks: folder of the object masks.
        index: file that `CocoProxies(cache=...)` reads.
        report_file: the filter report as JSON.
        figure: bar chart of the pixel frequencies, `None` where not wanted.
        num_written: masks rasterised by this run.
        num_reused: masks that stood already.
        filter_report: what was kept and dropped.
    """

    masks: Path
    index: Path
    report_file: Path
    figure: Path | None
    num_written: int
    num_reused: int
    filter_report: ProxyFilterReport

    def to_text(self) -> str:
        """Return the filter report and what lies where, as lines of text."""
        lines = [
            self.filter_report.to_text(),
            f"object masks: {self.num_written} written, {self.num_reused} stood already, in {self.masks}",
            f"filter report: {self.report_file}",
        ]
        if self.figure is not None:
            lines.append(f"pixel frequencies: {self.figure}")
        return "\n".join(lines)


def prepare_coco(
    root: str | Path,
    split: str | None = "train",
    *,
    cache: str | Path,
    excluded: str | Sequence[str] = "cityscapes",
    min_side: int = 480,
    figure: bool = True,
    progress: bool = True,
) -> PreparedProxies:
    """Rasterise the object masks of all images that pass the proxy filter.

    Args:
        root: folder that holds `annotations/` and `{split}2017/`.
        split: for example `train`, which is the default.
        cache: folder to write to; may hold other splits and filters already.
        excluded: preset (`cityscapes`, `paper`, `disjoint`) or category names.
        min_side: smallest height and width kept, in pixels, at least 1.
        figure: draw `pixel_frequency.svg`, which needs matplotlib.
        progress: show a progress bar on stderr.

    Returns:
        Paths, counts and the filter report.

    Raises:
        DataError: faulty data set (see `CocoProxies`); masks written before stay for the next run.
        UsageError: no such split, preset or category; matplotlib or pycocotools missing; another process
            writes to the cache.
        OutputError: the cache cannot be written.

    Example:
        >>> import tempfile
        >>> from segood.data.synthetic import write_world
        >>> few = dict.fromkeys(("num_train", "num_val", "num_lost_and_found", "num_fishyscapes"), 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = write_world(folder, size=(128, 256), num_proxies=4, **few)
        ...     done = prepare_coco(world.coco, cache=f"{folder}/cache", figure=False, progress=False)
        >>> done.num_written == done.filter_report.kept, done.num_reused
        (True, 0)
    """
    if figure:
        _require_matplotlib()
    folder, split, annotation_file = locate_coco(root, split)
    annotations = read_coco_annotations(annotation_file)
    images, report = filter_proxies(annotations, excluded, min_side)
    check_any_kept(report, annotation_file)
    frames = folder / f"{split}2017"
    check_images_exist(frames, images)
    place = ProxyCache.locate(
        cache, split, file_hash(annotation_file), report.preset, report.excluded, min_side
    )
    with runs.locked(Path(cache).expanduser()):
        written = 0
        for image in tqdm(images, desc="object masks", unit="image", disable=not progress):
            path = place.mask_path(image.file_name)
            if _stands(path, image):
                continue
            check_stated_size(frames / image.file_name, image_size(frames / image.file_name), image)
            segmentations = [one.segmentation for one in annotations.instances.get(image.id, [])]
            mask = object_mask(
                segmentations, image.height, image.width, name=f"{annotation_file}: {image.file_name}"
            )
            write_image(path, Image.fromarray(mask.astype(np.uint8) * OOD), optimize=False, compress_level=3)
            written += 1
        report_file = place.index.with_name("filter_report.json")
        write_json(report_file, report.to_dict())
        drawing = place.index.with_name("pixel_frequency.svg") if figure else None
        if drawing is not None:
            draw_pixel_frequency(report, drawing)
        place.write_index(images, report)
    return PreparedProxies(
        place.masks, place.index, report_file, drawing, written, len(images) - written, report
    )


def draw_pixel_frequency(report: ProxyFilterReport, path: str | Path, *, num_categories: int = 40) -> None:
    """Draw the share of object pixels per category as a bar chart (paper fig. 3).

    Args:
        report: the filter's report; `pixel_share` is drawn.
        path: file to write, `.svg`, `.png` or `.pdf`.
        num_categories: most frequent categories shown.

    Raises:
        UsageError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    title = (
        f"{report.kept} of {report.num_images} images pass preset {report.preset}, "
        f"sides at least {report.min_side} px"
    )
    draw_pixel_shares(report.pixel_share, path, title=title, num_categories=num_categories)


def draw_pixel_shares(
    pixel_share: Mapping[str, float], path: str | Path, *, title: str = "", num_categories: int = 40
) -> None:
    """Draw shares of object pixels per category as a bar chart.

    Args:
        pixel_share: category -> share in [0, 1], in the order to draw.
        path: file to write, `.svg`, `.png` or `.pdf`.
        title: above the bars.
        num_categories: so many of the first categories are shown.

    Raises:
        UsageError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    _require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot: no global state, no window system

    shares = list(pixel_share.items())[:num_categories]
    # Matplotlib reads an unescaped `$` as mathematics
    names, values = [name.replace("$", r"\$") for name, _ in shares], [100 * share for _, share in shares]
    # a fixed salt and no date: the same report gives the same bytes
    with rc_context({"svg.hashsalt": "segood", "svg.fonttype": "none"}):
        drawing = Figure(figsize=(max(4.0, 1.5 + 0.24 * len(shares)), 3.6), layout="constrained")
        axes = drawing.add_subplot()
        axes.bar(range(len(values)), values, color="#3b6fb6", width=0.75)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_xlim(-0.7, max(len(names), 1) - 0.3)
        axes.set_ylabel("share of object pixels [%]")
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        dates = {".svg": "Date", ".pdf": "CreationDate"}
        suffix = Path(path).suffix
        content = io.BytesIO()
        drawing.savefig(
            content, format=suffix[1:], dpi=150, metadata={dates[suffix]: None} if suffix in dates else None
        )
    write_bytes(path, content.getvalue())


def _stands(path: Path, image: CocoImage) -> bool:
    """Whether the mask of an image exists with the right size; its content is atomic and so complete."""
    if not path.is_file():
        return False
    try:
        return image_size(path) == (image.height, image.width)
    except DataError:
        return False


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "the pixel frequency figure needs matplotlib; install it with `pip install 'segood[report]'` "
            "or pass figure=False"
        ) from error
