"""The ministry's page and the API of the centre: what the store knows, for people and for programs.

The way of an answer: `access` says who asks -> a route of `pages` or `api` asks the store in a thread -> `view` makes
of its rows what a reader sees, with intervals -> a template, JSON, CSV or Parquet. `server` is the list of routes.
"""

from edge_scanner.central.serve import access, server

__all__ = ["access", "server"]
