"""How the site reads docstrings: `Example:` is doctests, `Reference:` a paragraph, `a, b: …` are two names.

Griffe, which parses them, knows `Examples:` only. It makes a box of anything else with a colon, whose text is
Markdown, where `>>>` would be a quotation; and it takes the second of two names for a type.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_REFERENCE = re.compile(r"^Reference:\n((?:    .*(?:\n|$))+)", re.M)
_NAMES = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)+): (.*(?:\n {8,}.*)*)", re.M)


def adapted(text: str) -> str:
    """Return a docstring as Griffe wants it.

    Example:
        >>> adapted("Add.\\n\\nReference:\\n    Peano,\\n    1889.\\n\\nExample:\\n    >>> 1 + 1\\n    2")
        'Add.\\n\\n**Reference:** Peano, 1889.\\n\\nExamples:\\n    >>> 1 + 1\\n    2'
        >>> print(adapted("Args:\\n    low, high: bounds,\\n        both finite."))
        Args:
            low: bounds,
                both finite.
            high: bounds,
                both finite.
    """
    text = _NAMES.sub(lambda found: "\n".join(f"    {n}: {found[2]}" for n in found[1].split(", ")), text)
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
    return _REFERENCE.sub(lambda found: f"**Reference:** {' '.join(found[1].split())}\n", text)


class Docstrings(Extension):
    """Adapt every docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = adapted(obj.docstring.value)
