"""The terminal of all three programs: what is printed is read by a person and never by the terminal.

Promises: `console` is the only maker of a rich console. It takes no markup and no emoji names in any text, and every
character that is drawn passes `core.text.literal`; colours come from `Text` and styles alone. `say` is the same for one
plain line. Cursor movements are rich's own and marked as such, so they pass and foreign ones do not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

from edge_scanner.core.text import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.text import Text


class Terminal(Console):
    """A console whose every visible segment is literal text."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A plain string as text: literal before its width is measured."""
        return super().render_str(literal(text, keep="\n"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich renders it, with what a terminal would act on made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(literal(segment.text, keep="\n"), segment.style)


def console(*, stderr: bool = False) -> Terminal:
    """A console on stdout or stderr."""
    return Terminal(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(line: object, *, stderr: bool = False) -> None:
    """Print one line, flushed."""
    print(literal(str(line)), file=sys.stderr if stderr else sys.stdout, flush=True)
