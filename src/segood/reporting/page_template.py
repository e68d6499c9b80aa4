"""Pages from templates: escaped, with style and script inside.

In: a template's name and what it shows. Out: HTML as text, complete in itself.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from segood.errors import UsageError


def render_page(template: str, context: dict[str, Any]) -> str:
    """Fill in a template of `reporting/templates`; whatever it does not call safe is escaped.

    Raises:
        UsageError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise _not_installed(error) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("segood.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(context)


def plotly_script() -> str:
    """Return Plotly's JavaScript, to be embedded once.

    Raises:
        UsageError: Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise _not_installed(error) from error
    return str(get_plotlyjs())


def template_text(*names: str) -> str:
    """Return files beside the templates (styles, scripts) as one text, in the order of the names."""
    folder = resources.files("segood.reporting") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _not_installed(error: ImportError) -> UsageError:
    return UsageError(f"reports need {error.name}; install it with `pip install 'segood[report]'`")
