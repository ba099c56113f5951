"""PROGRAM `edge-scanner kiosk`: the venue's screen, from the daemon's snapshot and nothing else.

Its own process and user. The way of a figure: `watch` reads the snapshot file (the border between two users) ->
`public` / `operator` turn it into documents of words -> `pages`, `stream` and `metrics` give them out -> `app` is the
list of addresses. A page's script holds no text and makes no decision: every word is chosen here, in both languages.
"""

from edge_scanner.device.kiosk.launch import become_kiosk, shown_certificate
from edge_scanner.device.kiosk.settings import KioskSettings

__all__ = ["KioskSettings", "become_kiosk", "shown_certificate"]
