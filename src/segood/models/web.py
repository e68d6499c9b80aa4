"""Opening a link, so that every way in which that fails has its name.

Enters: a link and request headers. Leaves: an open response, or `InterruptedTransferError` (worth
another attempt), or an error that says why another would not help.

Only `https` is spoken, and `http` with this very machine; a redirection leads nowhere else. The
standard library does the talking: of the libraries at hand, pooch and torch.hub start over after an
interruption, and requests would leave everything here to be written as well.

Source: RFC 9110, sections 14 (range requests) and 15 (status codes).
"""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from email.message import Message
from importlib.metadata import version
from urllib.parse import urlsplit

from segood.errors import FetchError, UsageError

_LOCAL = ("localhost", "127.0.0.1", "::1")
_WORTH_RETRYING = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_PAUSE = 60.0
_HINTS = {
    401: "; the server wants a login",
    403: "; the server does not give this file to you",
    404: "; the file is no longer there",
    410: "; the file is no longer there",
}


class InterruptedTransferError(Exception):
    """The attempt ended early, another one may go on; never leaves `segood.models.fetch`.

    Args:
        reason: one line.
        pause: seconds the server wants us to wait; None leaves that to us.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class RangeRefusedError(Exception):
    """There are no bytes at and after the place asked for; `size` is that of the whole file, if told."""

    def __init__(self, size: int | None) -> None:
        super().__init__(size)
        self.size = size


def check_url(url: str) -> None:
    """Raise `UsageError` unless the link is `https`, or `http` on this machine.

    Example:
        >>> check_url("file:///etc/passwd")
        Traceback (most recent call last):
        segood.errors.UsageError: `url` must begin with https://; got file:///etc/passwd
    """
    if not _is_secure(url) and not _is_local(url):
        raise UsageError(f"`url` must begin with https://; got {url}")


def open_url(url: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    """Open a link for reading.

    Args:
        url: checked link.
        headers: of the request, besides those that are always sent.
        timeout: seconds to connect, and between any two bytes.

    Raises:
        InterruptedTransferError: the server is busy, failing or silent.
        RangeRefusedError: the headers ask for bytes beyond the end.
        FetchError: missing, forbidden, offline, redirected elsewhere, or not the file but a web page.
    """
    always = {"User-Agent": f"segood/{version('segood')}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**always, **headers})
    try:
        response: http.client.HTTPResponse = _opener(url).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except urllib.error.URLError as error:
        raise _unreachable(url, error.reason, timeout) from error
    except TimeoutError:
        raise InterruptedTransferError(f"no answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(f"the connection broke: {reason(error)}") from error
    try:
        _refuse_strange(url, response.headers)
    except FetchError:
        response.close()
        raise
    return response


def number(text: str | None) -> int | None:
    """Return a header's number; None where it is missing or none."""
    return int(text) if text and text.strip().isdigit() else None


def reason(error: object) -> str:
    """Return one line that says what happened."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    what = f"HTTP {error.code} {str(error.reason).splitlines()[0] if error.reason else ''}".strip()
    if error.code == 416:
        return RangeRefusedError(number(error.headers.get("Content-Range", "").removeprefix("bytes */")))
    if error.code in _WORTH_RETRYING:
        wait = number(error.headers.get("Retry-After"))
        return InterruptedTransferError(what, None if wait is None else min(float(wait), _LONGEST_PAUSE))
    return FetchError(f"{url}: {what}{_HINTS.get(error.code, '')}")


def _unreachable(url: str, cause: object, timeout: float) -> Exception:
    host = urlsplit(url).hostname
    if isinstance(cause, TimeoutError):
        return InterruptedTransferError(f"no answer within {timeout:g} s")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return FetchError(f"{url}: the certificate of {host} is not valid: {cause.verify_message}")
    if isinstance(cause, socket.gaierror):
        return FetchError(f"{url}: the host {host} cannot be found; is this machine offline?")
    return InterruptedTransferError(f"cannot connect to {host}: {reason(cause)}")


def _refuse_strange(url: str, headers: Message) -> None:
    if headers.get("Content-Type") and headers.get_content_type() == "text/html":
        raise FetchError(f"{url} answers with a web page instead of the file; open it in a browser")
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchError(f"{url} sends the file in the encoding {encoding}, which was not asked for")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirections to where one may go directly; none leads to this machine from elsewhere."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        if not _is_secure(newurl) and not (_is_local(newurl) and _is_local(req.full_url)):
            raise FetchError(f"{req.full_url} redirects to {newurl}, which is not https; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return an opener that knows HTTP only: no files, no FTP, no data links."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _Redirects(),
    ]
    if not _is_local(url):
        handlers.append(urllib.request.ProxyHandler())
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _is_secure(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOCAL
