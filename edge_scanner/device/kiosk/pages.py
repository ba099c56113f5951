"""The HTML pages, from the templates in `www/`, and the QR codes.

A template names what it shows: `{{doc.word.vi}}` is a field of the document, `{{vi.chart.title}}` a text of a
catalogue; both are escaped. `{{>name}}` is a fragment made here. The same fields stand in `data-text` attributes,
through which the page's script renews them; so the first paint needs no script. Jinja2 would be a dependency for one
substitution.
"""

from __future__ import annotations

import html
import io
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import segno

from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.device.kiosk.operator import FACTS, FIGURES
from edge_scanner.device.kiosk.translations import LANGUAGES, NAME, catalogue, instead_of_english

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.device.kiosk.operator import OperatorDocument
    from edge_scanner.device.kiosk.public import PublicDocument

_FIELD = re.compile(r"\{\{([a-z0-9_.>]+)\}\}")
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "woff2": "font/woff2",
    "svg": "image/svg+xml",
}


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Every file that may be fetched, by path, with its content type; read once, so no path reaches the disk."""
    folders = {"": files("edge_scanner.device.kiosk.www"), "vendor/": files("edge_scanner.web").joinpath("vendor")}
    found = {}
    for folder, place in folders.items():
        for entry in place.iterdir():
            kind = _TYPES.get(entry.name.rsplit(".", 1)[-1])
            if kind:
                found[folder + entry.name] = (entry.read_bytes(), kind)
    return found


def public_page(document: PublicDocument, code: str = "", others: Mapping[str, Mapping[str, str]] = {}) -> str:
    """`/` in Vietnamese and English, or the language of `code` instead; `others` are those to choose from."""
    names = {"": "English", **{one: texts[NAME] for one, texts in others.items()}}
    links = " ".join(
        f'<a href="{f"/?lang={one}" if one else "/"}" lang="{one or "en"}"{_here(one == code)}>{html.escape(name)}</a>'
        for one, name in names.items()
    )
    with instead_of_english(others.get(code)):
        page = _fill(_template("public.html"), document, {})
    page = page.replace(' lang="en"', f' lang="{code}"') if code else page
    nav = f'<nav class="languages" aria-label="Ngôn ngữ / Languages">{links}</nav>' if others else ""
    return page.replace("<nav hidden></nav>", nav)


def _here(is_here: bool) -> str:
    return ' aria-current="true"' if is_here else ""


def operator_page(document: OperatorDocument, *, gates: bool = False) -> str:
    """`/ops`; `gates` is whether it leads to the site's other boxes."""
    rows = {
        "lights": _repeat("light.html", tuple(LIGHTS)),
        "facts": _repeat("fact.html", FACTS),
        "figures": _repeat("figure.html", FIGURES),
        "gates": _template("gates-link.html") if gates else "",
    }
    return _fill(_template("ops.html"), document, rows)


def fill(template: str, document: object, fragments: Mapping[str, str]) -> str:
    """A page of its own: a template's name, its document, and fragments whose texts are escaped already."""
    return _fill(_template(template), document, fragments)


def login_page(message: str, theme: str) -> str:
    """The page that asks for the PIN, or says why it does not; `message` is the key of a `login` text."""
    form = "" if message in ("login.unset", "login.unusable") else _template("login-form.html")
    return _fill(_template("login.html").replace("$message", message).replace("$theme", theme), None, {"form": form})


def qr_svg(address: str) -> bytes:
    """The address as a QR code, dark on white with its quiet zone, in any theme."""
    picture = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        picture, kind="svg", border=3, dark="#000", light="#fff", omitsize=True, xmldecl=False
    )
    return picture.getvalue()


@cache
def _template(name: str) -> str:
    return files("edge_scanner.device.kiosk.www").joinpath(name).read_text(encoding="utf-8")


def _repeat(name: str, keys: tuple[str, ...]) -> str:
    return "".join(_template(name).replace("$name", key) for key in keys)


def _fill(template: str, document: object, fragments: Mapping[str, str]) -> str:
    fragments = {"head": _template("ops-head.html"), **fragments}

    def value(match: re.Match[str]) -> str:
        path = match.group(1)
        if path.startswith(">"):
            return _FIELD.sub(value, fragments[path[1:]])
        root, _, rest = path.partition(".")
        if root in LANGUAGES:
            return html.escape(getattr(catalogue()[rest], root))
        found: object = document
        for name in rest.split("."):
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        return html.escape(_text(found))

    return _FIELD.sub(value, template)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
