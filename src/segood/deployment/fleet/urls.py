"""URLs that fsspec opens: `s3://bucket/a.png`, `https://host/a.png`, `zip://a.png::s3://bucket/all.zip`.

In: text. Out: its scheme checked, its suffix, its neighbours, its bytes; or one line of what is wrong.
"""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Any

from segood.errors import DataError, UsageError, one_line

TRIES = 4
"""A fetch that fails is tried this many times, since networks fail for moments."""
_FIRST_WAIT = 0.5  # seconds; doubled each time


def is_url(text: str) -> bool:
    """Tell whether text is a URL and no path.

    Example:
        >>> is_url("s3://bucket/a.png"), is_url("photos/a.png")
        (True, False)
    """
    return "://" in text


def schemes(url: str) -> tuple[str, ...]:
    """Return the scheme of a URL, and those of what it lies in.

    Example:
        >>> schemes("zip://a.png::simplecache::https://host/all.zip")
        ('zip', 'simplecache', 'https')
    """
    return tuple(part.partition("://")[0] for part in url.split("::"))


def check_scheme(scheme: str, url: str) -> None:
    """Raise `UsageError` unless fsspec opens URLs of a scheme here and now."""
    fsspec = import_fsspec()
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise UsageError(
            f"{url}: unknown scheme {scheme}://; fsspec knows file, http, https, s3, gs, zip and others"
        ) from None
    except ImportError as error:
        raise UsageError(f"{url}: {scheme}:// needs a package ({one_line(error)})") from None


def suffix_of(url: str) -> str:
    """Return the ending of a URL's path, in lower case.

    Example:
        >>> suffix_of("https://host/a.PNG?token=1.2"), suffix_of("zip://b.jpg::file:///all.zip")
        ('.png', '.jpg')
    """
    return PurePosixPath(url.partition("::")[0].partition("?")[0]).suffix.lower()


def beside(url: str, relative: str) -> str:
    """Return the URL of a file that is named relative to another one's folder.

    Example:
        >>> beside("s3://bucket/lists/day.txt", "a/1.png")
        's3://bucket/lists/a/1.png'
        >>> beside("zip://day.txt::file:///all.zip", "a/1.png")
        'zip://a/1.png::file:///all.zip'
    """
    first, chained, rest = url.partition("::")
    return f"{first.partition('?')[0].rpartition('/')[0]}/{relative}{chained}{rest}"


def fetch(url: str) -> bytes:
    """Return what a URL holds.

    Raises:
        DataError: it cannot be fetched, not at the last try either. The message is the same each time, so
            that records are.
    """
    fsspec = import_fsspec()
    for attempt in range(TRIES):
        try:
            files, path = fsspec.core.url_to_fs(url)
            content: bytes = files.cat_file(path)  # one request; `open` would first ask for the size
            return content
        except (FileNotFoundError, PermissionError, IsADirectoryError, KeyError) as error:
            raise DataError(f"{url}: no such file, or no access ({type(error).__name__})") from error
        except Exception as error:  # each protocol's client has its own
            if attempt == TRIES - 1:
                raise DataError(
                    f"{url}: cannot be fetched, tried {TRIES} times ({type(error).__name__})"
                ) from error
            time.sleep(_FIRST_WAIT * 2**attempt)
    raise AssertionError  # the loop returns or raises


def import_fsspec() -> Any:
    """Return the module fsspec.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import fsspec
    except ModuleNotFoundError:
        raise UsageError("URLs need fsspec, which is not installed; pip install 'segood[ray]'") from None
    return fsspec
