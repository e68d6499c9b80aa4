"""The page at `/`: one file, style and script inside, nothing loaded from elsewhere.

In: the service. Out: HTML, and the content security policy that lets exactly this style and script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from html import escape
from importlib import resources

from segood.deployment.service.core import Service


def make_page(service: Service, *, needs_key: bool) -> tuple[str, str]:
    """Return the page and its content security policy."""
    monitor = service.monitor
    html, style, script = _parts()
    facts = {
        "threshold": monitor.threshold,
        "probability_threshold": monitor.probability_threshold,
        "has_meta": monitor.meta is not None,
        "needs_key": needs_key,
        "max_bytes": service.options.max_bytes,
    }
    page = (
        html.replace("{{label}}", escape(monitor.label))
        .replace("{{facts}}", escape(json.dumps(facts), quote=True))
        .replace("{{style}}", style)
        .replace("{{script}}", script)
    )
    policy = (
        f"default-src 'none'; script-src '{_source(script)}'; style-src '{_source(style)}'; "
        "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


@lru_cache(maxsize=1)
def _parts() -> tuple[str, str, str]:
    folder = resources.files("segood.deployment.service") / "templates"
    html, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    return html, style, script


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
