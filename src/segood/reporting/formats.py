"""Numbers as people read them: one place that decides digits, signs and what "undefined" looks like."""

from __future__ import annotations

MISSING = "–"


def metric(value: float | None, digits: int = 3) -> str:
    """Return a metric with fixed digits; `–` where it is undefined.

    Example:
        >>> metric(0.73412), metric(None)
        ('0.734', '–')
    """
    return MISSING if value is None else f"{value:.{digits}f}"


def count(value: int | None) -> str:
    """Return a count with thousands separated.

    Example:
        >>> count(1234567)
        '1,234,567'
    """
    return MISSING if value is None else f"{value:,}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent.

    Example:
        >>> percent(0.0083, 2)
        '0.83 %'
    """
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def signed(difference: float | None, digits: int = 3) -> str:
    """Return a difference with its sign; a difference that rounds to zero carries none.

    Example:
        >>> signed(0.127), signed(-0.2), signed(1e-9)
        ('+0.127', '−0.200', '±0.000')
    """
    if difference is None:
        return MISSING
    text = f"{abs(difference):.{digits}f}"
    sign = "±" if float(text) == 0 else "+" if difference > 0 else "−"
    return sign + text


def points(difference: float | None) -> str:
    """Return a difference of two shares in percentage points.

    Example:
        >>> points(0.0022), points(None)
        ('+0.22 pp', '–')
    """
    return MISSING if difference is None else signed(100 * difference, 2) + " pp"


def span(low: float, high: float) -> str:
    """Return a range of values, to three digits.

    Example:
        >>> span(0.0, 1.0), span(-12.345, 3.2)
        ('0 to 1', '−12.3 to 3.2')
    """
    return f"{low:.3g} to {high:.3g}".replace("-", "−")


def relative(before: float | None, after: float | None) -> str:
    """Return the relative change in percent; `–` where it is undefined (nothing there before).

    Example:
        >>> relative(50, 24), relative(0, 3)
        ('−52 %', '–')
    """
    if before is None or after is None or before == 0:
        return MISSING
    return signed(100 * (after - before) / before, 0) + " %"


def difference(before: float | None, after: float | None) -> float | None:
    """Return `after - before`, or `None` where one of them is undefined."""
    return None if before is None or after is None else after - before


def join_words(words: list[str]) -> str:
    """Return a list as in a sentence.

    Example:
        >>> join_words(["a", "b", "c"])
        'a, b and c'
    """
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
