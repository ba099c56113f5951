"""Captured Bluetooth traffic as advertising reports, whoever wrote the file.

btsnoop (Android, `btmon -w`), PacketLogger (Apple), pcap and pcapng of HCI and of link-layer sniffers, each compressed
or not. Each format is one small module; a file is told by its first bytes, never by its name. Everything streams:
memory does not grow with the file.

Whose fault: a damaged *file* (unknown magic, impossible length, cut record) raises BadDataError with file and byte; a
damaged *packet* in a healthy file is counted in `Losses`.
"""

from edge_scanner.device.replay.captures.opening import is_stdin
from edge_scanner.device.replay.captures.reader import merge, read, records
from edge_scanner.device.replay.captures.records import Link, Losses, Record, Report, Source
from edge_scanner.device.replay.captures.timeline import follows

__all__ = ["Link", "Losses", "Record", "Report", "Source", "follows", "is_stdin", "merge", "read", "records"]
