"""Errors, split by whose fault they are; the fault decides what happens next.

* theirs (a malformed advertisement, a forged request): counted or refused, never fatal;
* the operator's (configuration, permissions): one line with a hint, an exit code, no restart loop;
* ours: any other exception; it crashes the task group and systemd restarts the program.

Exit codes follow sysexits(3): 0 done, 2 usage, 65 bad data, 69 unavailable, 70 a crash, 74 I/O, 77 refused by policy,
78 configuration; 75 a restart mends it. Python's own code for a crash is 1, which commands that examine something use
for a verdict.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_CRASH = 70
"""A mistake of ours: any exception that is none of these."""


class EdgeScannerError(Exception):
    """What every program prints as one line `what (where): how to mend` before it exits with `exit_code`."""

    exit_code = EXIT_CRASH

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        mend = f"; {self.hint}" if self.hint else ""
        return f"{self.what}{place}{mend}"


class BadDataError(EdgeScannerError):
    """Input from outside does not follow its format; `where` names the file and byte."""

    exit_code = 65


class LogError(BadDataError):
    """A sealed log, its proofs or its documents do not hold."""

    code: ClassVar[str] = "log"


class MalformedError(LogError):
    """The bytes do not follow the format."""

    code = "malformed"


class DocumentForgedError(LogError):
    """A signed document carries no valid signature of the expected key."""

    code = "document-forged"


class UnavailableError(EdgeScannerError):
    """Something we need is not there: broker, adapter, bus."""

    exit_code = 69


class StorageError(EdgeScannerError):
    """The disk is full, read-only, damaged or not ours."""

    exit_code = 74


class DiskFullError(StorageError):
    """No space left: nothing of this call was kept, nothing earlier is lost; keep the rows and try again later."""


class DamagedError(StorageError):
    """The database is damaged; opening it again sets it aside, so systemd shall restart the program."""

    exit_code = 75


class NotOursError(StorageError):
    """The database is another user's or program's, or others may read it: a person must put that right."""


class InUseError(StorageError):
    """Another program of ours holds the database: two must never record side by side."""


class RestartError(EdgeScannerError):
    """What kept this run from its work is over, and a new run will do it."""

    exit_code = 75


class RefusedError(EdgeScannerError):
    """Policy forbids it; `code` is the machine-readable reason."""

    exit_code = 77

    def __init__(self, what: str, *, code: str, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = code


class ConfigurationError(EdgeScannerError):
    """The operator's settings are wrong; systemd must not restart the program.

    A file with several mistakes has a line for each in `mistakes`.
    """

    exit_code = 78

    def __init__(self, what: str, *, where: str = "", hint: str = "", mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, hint=hint)
        self.mistakes = mistakes
