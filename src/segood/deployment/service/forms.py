"""Multipart bodies -> files, in memory.

In: a whole body, which is bounded already. Out: its files, in order. Starlette's own parser puts files on
disk and takes a form without an end for an empty one, so only the tokenizer below it is used.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from segood.deployment.service.problems import ServiceError


class Upload(NamedTuple):
    """An image as it arrived: the last part of its file name (empty if it has none), and its bytes."""

    name: str
    data: bytes


def split_form(content_type: str, body: bytes, *, field: str, max_files: int) -> list[Upload]:
    r"""Return the files of a multipart body.

    Args:
        content_type: with the boundary.
        body: all of it.
        field: the only name under which files are accepted.
        max_files: more are refused.

    Raises:
        ServiceError: `invalid_multipart`, `empty_body`.

    Example:
        >>> body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        >>> body += b"pixels\r\n--b--\r\n"
        >>> split_form("multipart/form-data; boundary=b", body, field="file", max_files=1)
        [Upload(name='a.png', data=b'pixels')]
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _invalid("its content type names no boundary")
    form = _Form(field, max_files)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.add_name,
                "on_header_value": form.add_value,
                "on_header_end": form.end_header,
                "on_headers_finished": form.end_headers,
                "on_part_data": form.add_data,
                "on_part_end": form.end_part,
                "on_end": form.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _invalid(str(error)[:200]) from error
    if not form.ended:
        raise _invalid("it is cut off, or its boundary is another one")
    if not form.files:
        raise ServiceError("empty_body", f"there is no file under `{field}` in the multipart body")
    return form.files


class _Form:
    """What a body turned out to hold, so far."""

    def __init__(self, field: str, max_files: int) -> None:
        self.field, self.max_files = field, max_files
        self.files: list[Upload] = []
        self.ended = False
        self.begin()

    def begin(self) -> None:
        self._name, self._value = bytearray(), bytearray()
        self._disposition = ""
        self._file_name = ""
        self._data = bytearray()

    def add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or name != self.field or b"filename" not in options:
            raise _invalid(f"only files are accepted, under `{self.field}`; got field {name[:80]!r}")
        if len(self.files) == self.max_files:
            raise _invalid(f"at most {self.max_files} files are accepted")
        self._file_name = last_part(options[b"filename"].decode("utf-8", "replace"))

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def end_part(self) -> None:
        self.files.append(Upload(self._file_name, bytes(self._data)))

    def end(self) -> None:
        self.ended = True


def last_part(name: str) -> str:
    r"""Return a file name that is safe to show: no folders, no control characters, not too long.

    Example:
        >>> last_part("../../etc/pass\x00wd.png"), last_part(r"C:\temp\a.png")
        ('passwd.png', 'a.png')
    """
    return "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())[:100]


def _invalid(reason: str) -> ServiceError:
    return ServiceError("invalid_multipart", f"the multipart body cannot be used: {reason}")
