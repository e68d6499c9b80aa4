"""How the site reads docstrings: `Example:` holds doctests, `Reference:` is a paragraph.

Griffe, which parses them, knows `Examples:` only. It makes a box of anything else with a colon, whose text is
Markdown, where `>>>` would be a quotation.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_REFERENCE = re.compile(r"^Reference:\n((?:    .*(?:\n|$))+)", re.M)


def adapted(text: str) -> str:
    """Return a docstring as Griffe wants it.

    Example:
        >>> adapted("Add.\\n\\nReference:\\n    Peano,\\n    1889.\\n\\nExample:\\n    >>> 1 + 1\\n    2")
        'Add.\\n\\n**Reference:** Peano, 1889.\\n\\nExamples:\\n    >>> 1 + 1\\n    2'
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
    return _REFERENCE.sub(lambda found: f"**Reference:** {' '.join(found[1].split())}\n", text)


class Docstrings(Extension):
    """Adapt every docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = adapted(obj.docstring.value)
