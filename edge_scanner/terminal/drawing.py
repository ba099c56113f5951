"""A rich console that a foreign text cannot steer: every character that is drawn is literal."""

from __future__ import annotations

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
