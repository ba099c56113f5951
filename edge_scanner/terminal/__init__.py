"""The terminal of every program: what is printed is read by a person and never by the terminal.

Promises: `console` is the only maker of a rich console. It takes no markup and no emoji names in any text, and every
character that is drawn passes `core.text.literal`; colours come from `Text` and styles alone. `say` is the same for one
plain line, `say_json` for one document; nothing else in the programs writes to stdout or stderr, but the box's log
(device/system/journal.py) and `derive`, whose table has names and digits of our own. Cursor movements are rich's own
and marked as such, so they pass and foreign ones do not.
"""

from edge_scanner.terminal.lines import console, say, say_json

__all__ = ["console", "say", "say_json"]
