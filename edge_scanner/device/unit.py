"""What systemd's units start: `python3 -m edge_scanner.device.unit run|kiosk|pin|renew FILE`.

The same work, messages and exit codes as the commands of these names, without the command line: typer, pydantic and
rich serve people, and a daemon that never speaks to one would keep them in memory for months.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_scanner import program, terminal

USAGE = "usage: python3 -m edge_scanner.device.unit run|kiosk|pin|renew FILE"
EXIT_USAGE = 2


def main(words: list[str]) -> None:
    """Do what one unit is for; its imports are its own."""
    match words:
        case ["run", file]:
            program.run("edge-scanner", lambda: _run(Path(file)))
        case ["kiosk", file]:
            program.run("edge-scanner", lambda: _kiosk(Path(file)))
        case ["pin", file]:
            program.run("edge-scanner", lambda: _pin(Path(file)))
        case ["renew", file]:
            program.run("edge-scanner", lambda: _renew(Path(file)))
        case _:
            terminal.say(USAGE, stderr=True)
            sys.exit(EXIT_USAGE)


def _run(file: Path) -> None:
    from edge_scanner.device import settings
    from edge_scanner.device.daemon import daemon
    from edge_scanner.device.system import journal

    journal.set_up()
    sys.exit(daemon.main(settings.load(file)))


def _kiosk(file: Path) -> None:
    from edge_scanner.device.commands.kiosk import run_kiosk

    run_kiosk(file)


def _pin(file: Path) -> None:
    from edge_scanner.device import settings
    from edge_scanner.device.system import pin_file

    if line := pin_file.line(Path(settings.load(file).kiosk.ops_pin_file)):
        terminal.say(line.rstrip("\n"))


def _renew(file: Path) -> None:
    from edge_scanner.device.commands.renew import run_renew
    from edge_scanner.device.system import journal

    journal.set_up()
    run_renew(file)


if __name__ == "__main__":
    main(sys.argv[1:])
