"""Every file from outside is read with a bound: a damaged directory entry can claim any size."""

from __future__ import annotations

import ast
from pathlib import Path

PRODUCT = Path(__file__).parents[3]
KERNEL = {
    "edge_scanner/device/doctor/machine.py": 4,
    "edge_scanner/device/health.py": 1,
    "edge_scanner/device/radio/adapter.py": 1,
    "edge_scanner/device/radio/reset.py": 3,
    "edge_scanner/device/storage/files.py": 1,
    "provisioning/bench/interfaces.py": 3,
}
"""How many files of /proc and /sys a module reads whole."""
PACKAGE = {
    "edge_scanner/authority/match/report.py": 1,
    "edge_scanner/authority/translations.py": 1,
    "edge_scanner/central/collect/judge.py": 1,
    "edge_scanner/central/serve/pages.py": 2,
    "edge_scanner/device/commands/notice.py": 1,
    "edge_scanner/device/kiosk/pages.py": 2,
    "edge_scanner/device/kiosk/translations.py": 1,
    "edge_scanner/device/storage/statements.py": 1,
    "edge_scanner/language/errors.py": 1,
}
"""Files that lie in the package."""
WRITTEN_HERE = {"provisioning/label.py": 1}
"""What the browser has drawn in a temporary folder."""


def test_only_the_kernels_and_our_own_files_are_read_whole() -> None:
    """The demo reads what it wrote itself; every other read says how much it takes (`small_files.content`)."""
    found = {}
    for folder in ("edge_scanner", "provisioning"):
        for path in sorted((PRODUCT / folder).rglob("*.py")):
            name = path.relative_to(PRODUCT).as_posix()
            if not name.startswith("edge_scanner/demo/") and (whole := _whole(ast.parse(path.read_text()))):
                found[name] = whole

    assert found == KERNEL | PACKAGE | WRITTEN_HERE


def _whole(tree: ast.Module) -> int:
    """Calls that read a file to its end; `await x.read()` is a request, whose bound the server's is."""
    awaited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Await)}
    return sum(
        1
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and id(node) not in awaited
        if node.func.attr in {"read_text", "read_bytes"} or (node.func.attr == "read" and not node.args + node.keywords)
    )
