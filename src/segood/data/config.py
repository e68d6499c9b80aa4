"""How a configuration names a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import segood.data  # a module, not a name: command line parsers execute this block


@dataclass
class DatasetConfig:
    """A data set on disk.

    Args:
        name: layout, see `segood data check --help` (for example cityscapes, camvid, road_anomaly_21), or
            the import path of code of yours: my_data.py:open_mine.
        root: folder of the data set; a relative one lies under `data_root`.
        split: for example train, val, test; the layout's usual one where not given.
        resize: rows and columns that frames and labels are resized to; the labels' own size where not given.
        options: further options of the layout (for example `labels: cityscapes` for camvid).
        title: how tables and reports call it; the layout's name where not given.

    Example:
        >>> DatasetConfig("camvid", "CamVid", "test", options={"labels": "camvid"}).check()
    """

    name: str
    root: str
    split: str | None = None
    resize: tuple[int, int] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    title: str | None = None

    def check(self) -> None:
        """Check name and options before anything is opened.

        Raises:
            UsageError: one of them does not exist; the nearest valid one is named.
        """
        from segood.data.registry import check_dataset_options

        check_dataset_options(self.name, self.options)

    def open(self, data_root: str | Path = ".") -> segood.data.SegmentationDataset:
        """Open the data set.

        Args:
            data_root: folder that a relative `root` lies under.

        Returns:
            The data set, as `segood.data.open_dataset` returns it.

        Raises:
            UsageError, DataError: as `segood.data.open_dataset`.
        """
        from segood.data import open_dataset

        dataset = open_dataset(
            self.name, Path(data_root) / self.root, self.split, resize=self.resize, **self.options
        )
        dataset.title = self.title or dataset.title
        return dataset
