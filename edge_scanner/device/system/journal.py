"""The log: one fixed phrase per event with keys and values; never an identifier, an address or a payload.

Under systemd (JOURNAL_STREAM is set) a line is JSON behind the syslog prefix `<6>`, from which journald takes the
priority; on a terminal it is coloured text. Nothing in a value is obeyed by either. Foreign libraries' lines (logging)
pass the same redaction. A crash is reported as exception types and places in our code, without the exceptions' texts,
since those may quote data.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from edge_scanner.core.text import literal
from edge_scanner.device.system import log_output

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping


@contextlib.contextmanager
def _without_rich() -> Iterator[None]:
    """Let structlog believe that rich is not there.

    It would load it (7 MB of a box's memory, measured) to print tracebacks with values, which is never done here.
    """
    present = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]  # how an import is made to fail
    try:
        yield
    finally:
        del sys.modules["rich"]
        if present is not None:
            sys.modules["rich"] = present


with _without_rich():
    import structlog

REDACTED = "[redacted]"
_DENIED = frozenset({"id", "rpi", "addr", "address", "mac", "payload", "key", "identifier", "name", "tag", "uuid"})
_ADDRESS = re.compile(r"(?i)(?<![0-9a-f])[0-9a-f]{2}(?:[:_-][0-9a-f]{2}){5}(?![0-9a-f])")
_HEX_DATA = re.compile(r"(?i)(?<![0-9a-f-])[0-9a-f]{12,}(?![0-9a-f])")
_BYTES_TEXT = re.compile(r"b(['\"]).*?\1|bytearray\(.*?\)")
_PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what could identify a phone: bytes, values under denied keys, addresses and long hex in any text."""
    for key, value in event.items():
        event[key] = REDACTED if key in _DENIED else scrub(value)
    return event


def scrub(value: Any) -> Any:
    """A value fit for the log: numbers as they are, texts without addresses and data, everything else as such text."""
    if isinstance(value, int | float | None):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return REDACTED
    text = _BYTES_TEXT.sub(REDACTED, literal(str(value)))
    return _HEX_DATA.sub(REDACTED, _ADDRESS.sub(REDACTED, text))


def set_up(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Configure structlog and logging once, at the start of a program."""
    output = stream or log_output.stderr()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    handler = logging.StreamHandler(output) if stream else log_output.aside()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_foreign_source, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, *_renderers(output)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("edge_scanner").setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )


def get(room: str) -> structlog.typing.FilteringBoundLogger:
    """A room's logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(f"edge_scanner.{room}")
    return logger


def crash(error: BaseException) -> str:
    """A crash in one line: each exception's type and the places it passed, innermost last; no text, no values."""
    if isinstance(error, BaseExceptionGroup):
        return " + ".join(crash(inner) for inner in error.exceptions)
    places = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__} at {' > '.join(places[-8:]) or 'unknown place'}"


def _foreign_source(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which library speaks, and drop its traceback, which may quote data."""
    record = event.get("_record")
    if record is not None:
        event["library"] = record.name
        if record.exc_info and record.exc_info[1] is not None:
            event["crash"] = crash(record.exc_info[1])
    event.pop("exc_info", None)
    event.pop("stack_info", None)
    return event


def _renderers(stream: TextIO) -> list[structlog.typing.Processor]:
    if os.environ.get("JOURNAL_STREAM"):
        return [_journal_line]
    return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]


def _journal_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    priority = _PRIORITY.get(str(event.get("level")), 6)
    line = structlog.processors.JSONRenderer(ensure_ascii=False)(logger, method, event)
    return f"<{priority}>{line if isinstance(line, str) else line.decode()}"
