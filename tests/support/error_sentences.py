"""Reads the sources for every sentence that an error may say: what, hint, usage, alarm; `{}` stands for a value."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_FOLDERS = ("edge_scanner", "provisioning")
_WORDS = ("what", "hint")
"""A sentence is given by these names; a parameter's default and a variable that is handed on count, too."""

_PLACES = {"refuse": (1,), "_refused": (1,), "_require": (1,), "_check_mode": (2, 3), "_known": (2,), "damaged": (0,),
           "Mistake": (0,), "BadParameter": (0,), "told": (0,)}  # fmt: skip
"""Who takes a sentence by its place; every error takes its first."""

_BILINGUAL = ("Row",)
"""What these say stands in both languages already."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sentences() -> dict[str, Path]:
    """Every sentence, and a file that says it."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for folder in _FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    constants = {name: value for tree in trees.values() for name, value in _assigned(tree.body)}
    found = {}
    for path, tree in trees.items():
        here = constants | dict(_assigned(tree.body))
        for part, names in _given(tree, here):
            found.update(dict.fromkeys(_said(part, names), path))
    return {sentence: path for sentence, path in found.items() if any(map(str.isalpha, sentence.replace("{}", "")))}


def counted_nouns() -> set[str]:
    """Every noun that stands beside a number in a text of the sources."""
    return {
        node.args[1].value
        for folder in _FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and (_name(call).endswith("Error") or _name(call) in ("refuse", "told"))
        for node in ast.walk(call)
        if isinstance(node, ast.Call) and _name(node) == "counted"
        if isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str)
    }


def _given(tree: ast.Module, constants: dict[str, ast.expr]) -> Iterator[tuple[ast.expr, dict[str, ast.expr]]]:
    """The expressions that are sentences, with the names that they may use."""
    for node, names in _with_names(tree, constants):
        if isinstance(node, Function):
            arguments = [*node.args.posonlyargs, *node.args.args]
            pairs = [*zip(reversed(arguments), reversed(node.args.defaults), strict=False)]
            pairs += [
                (one, value) for one, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value
            ]
            yield from ((value, names) for argument, value in pairs if argument.arg in _WORDS)
        elif isinstance(node, ast.Tuple) and ast.unparse(node.elts[0] if node.elts else node).startswith("Trouble."):
            yield node.elts[1], names
        elif isinstance(node, ast.Call) and _name(node) not in _BILINGUAL:
            named = {word.arg: word.value for word in node.keywords}
            words = (*_WORDS, "detail") if "trouble" in named else _WORDS
            yield from ((named[word], names) for word in words if word in named)
            places = (0,) if _name(node).endswith("Error") else _PLACES.get(_name(node), ())
            yield from ((node.args[place], names) for place in places if place < len(node.args))


def _with_names(node: ast.AST, names: dict[str, ast.expr]) -> Iterator[tuple[ast.AST, dict[str, ast.expr]]]:
    for child in ast.iter_child_nodes(node):
        inner = {**names, **_variables(child)} if isinstance(child, Function) else names
        yield child, inner
        yield from _with_names(child, inner)


def _variables(function: Function) -> dict[str, ast.expr]:
    """What a function's `what` and `hint` may be: a tuple of all that is assigned or looped over."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        for name, value in _assigned([node] if isinstance(node, ast.stmt) else []):
            found.setdefault(name, []).append(value)
        if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Tuple):
            for row in node.iter.elts:
                if isinstance(row, ast.Tuple):
                    for target, value in zip(node.target.elts, row.elts, strict=True):
                        found.setdefault(ast.unparse(target), []).append(value)
    return {name: ast.Tuple(elts=values) for name, values in found.items()}


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            yield from (
                (ast.unparse(name), value) for name, value in zip(node.targets[0].elts, node.value.elts, strict=True)
            )


def _said(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[str]:
    """The sentences of an expression."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            for part in parts:
                if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.BoolOp | ast.IfExp):
                    yield from _said(part.value, {})
        case ast.IfExp(body=first, orelse=second):
            yield from _said(first, names)
            yield from _said(second, names)
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                yield from _said(part, names)
        case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name) if name in names:
            yield from _said(names[name], {other: value for other, value in names.items() if other != name})


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
