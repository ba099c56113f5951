"""PROGRAM `edge-scanner run`: opens what a run needs, starts its tasks in one group, and stands by without a disk.

The way of a minute: `daemon` (or `standby`) wires `parts` -> the pipeline's batch -> `committer` stores it ->
`snapshot` shows it. `sealing` begins the run's log.
"""

__all__ = ["committer", "daemon", "parts", "sealing", "snapshot"]
