"""A pull on the screen: one line a box, redrawn while it runs; plain lines where nobody looks at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import translations
from edge_scanner.authority.collect.collection import State
from edge_scanner.authority.collect.pull import outcomes
from edge_scanner.language import errors

if TYPE_CHECKING:
    from types import TracebackType

    from edge_scanner.authority.collect.collection import Collection
    from edge_scanner.authority.collect.pull import Outcome
    from edge_scanner.mqtt.brokerlink import BrokerState

_STYLES = {
    State.WAITING: "dim",
    State.QUEUED: "yellow",
    State.UNKNOWN: "magenta",
    State.ANSWERING: "cyan",
    State.DONE: "bold green",
    State.REFUSED: "bold red",
    State.DOUBTED: "bold magenta",
    State.BAD: "bold red",
    State.NOT_ASKED: "bold red",
}
_BAR_WIDTH = 24
_STEPS = 10
"""Lines about a box that is answering, where nobody looks at a terminal: one for every tenth."""
_HOURS_FROM_MINUTES = 120
_REFRESH_PER_S = 5
_SPARE_LINES = 4
"""For the sum, the broker's trouble and the prompt; with more boxes than lines, those that are under way are shown."""


class PullView:
    """`update` it with a collection whenever something changed."""

    def __init__(self, language: errors.Language) -> None:
        self._language = language
        self._console = terminal.console(stderr=True)
        self._boxes: dict[str, Collection] = {}
        self._said: dict[str, tuple[str, int]] = {}
        self._broker: BrokerState | None = None
        self._live = Live(console=self._console, refresh_per_second=_REFRESH_PER_S, get_renderable=self._table)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, collection: Collection) -> None:
        """Something about a box has changed."""
        device = collection.box.device
        self._boxes[device] = collection
        sentence, (done, total) = self._sentence(collection), collection.progress
        said = sentence, _STEPS * done // max(total, 1)
        if not self._console.is_terminal and self._said.get(device) != said:
            self._said[device] = said
            words = [sentence, self._left(collection)]
            if collection.state is State.ANSWERING and done:
                words.insert(1, f"{100 * done // total} %")
            line = ", ".join(word for word in words if word)
            self._console.print(f"{translations.device_name(device)}  {line}", soft_wrap=True)

    def final(self) -> dict[str, Outcome]:
        """Boxes that refused or contradicted themselves in this run; their word is not kept on disk."""
        return {
            device: outcome
            for device, collection in self._boxes.items()
            for outcome in outcomes([collection])
            if collection.state in (State.REFUSED, State.BAD, State.DOUBTED, State.UNKNOWN, State.QUEUED)
        }

    def connection(self, state: BrokerState) -> None:
        """How the connection to the broker is."""
        if not self._console.is_terminal and state.detail and state != self._broker:
            self._console.print(Text(self._trouble(state)), soft_wrap=True)
        self._broker = state

    def _trouble(self, state: BrokerState) -> str:
        """What is wrong with the connection, in the reader's language."""
        return errors.told(state.detail, self._language)

    def later(self) -> None:
        """Some boxes have not answered: nothing is lost by stopping here."""
        self._console.print(translations.say(self._language, "pull_later"), soft_wrap=True)

    def _sentence(self, collection: Collection) -> str:
        code = collection.code
        if collection.state is State.NOT_ASKED:
            code = translations.say(self._language, f"box_{code}")
        reason = f"{translations.refusal(self._language, code)} ({code})" if code else ""
        return translations.say(self._language, f"state_{collection.state.value}", code=code, reason=reason)

    def _left(self, collection: Collection) -> str:
        """How long it will take; nothing while that is unknown."""
        if collection.state is not State.ANSWERING or not collection.remaining_s:
            return ""
        minutes = max(1, round(collection.remaining_s / 60))
        if minutes >= _HOURS_FROM_MINUTES:
            return translations.say(self._language, "pull_hours_left", hours=round(minutes / 60))
        return translations.say(self._language, "pull_minutes_left", minutes=minutes)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for _ in range(3):
            table.add_column()
        table.add_column(justify="right")
        table.add_column()
        room = max(1, self._console.height - _SPARE_LINES)
        ordered = sorted(self._boxes.items(), key=lambda item: item[1].finished)
        for device, collection in ordered[:room]:
            done, total = collection.progress
            share = f"{100 * done // total} %" if total else ""
            table.add_row(
                Text(translations.device_name(device), "bold"),
                collection.box.place,
                ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH),
                share,
                Text(
                    ", ".join(word for word in (self._sentence(collection), self._left(collection)) if word),
                    _STYLES[collection.state],
                ),
            )
        finished = sum(collection.finished for collection in self._boxes.values())
        table.add_row("", "", "", "", Text(f"{finished} / {len(self._boxes)}", "dim"))
        if self._broker is not None and not self._broker.connected:
            table.add_row("", "", "", "", Text(self._trouble(self._broker), "yellow"))
        return table
