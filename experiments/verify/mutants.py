"""Formulas broken on purpose: a sign flipped, a term or a factor dropped, in the source of a function."""

import ast
import copy
import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

Function = ast.FunctionDef | ast.Lambda


class Mutant(NamedTuple):
    """A function as it stands, what is changed in it, in words, and the code that it then has."""

    function: FunctionType
    change: str
    code: CodeType


def functions_of(module: ModuleType) -> dict[FunctionType, Function]:
    """Every function and lambda that a module defines, with its source; those inside others belong to them."""
    path = module.__file__ or ""
    live = [one for one in gc.get_objects() if isinstance(one, FunctionType) and one.__code__.co_filename == path
            and "<locals>" not in one.__qualname__]
    sources = _outermost(ast.parse(Path(path).read_text(encoding="utf-8")))
    return dict(zip(sorted(live, key=_where), sorted(sources, key=lambda one: (one.lineno, one.col_offset)),
                    strict=True))


def _where(function: FunctionType) -> tuple[int, int]:
    """The line that it begins in, and the column of what it returns: in the order of lambdas of one line."""
    return function.__code__.co_firstlineno, list(function.__code__.co_positions())[-1][2] or 0


def mutants_of(function: FunctionType, source: Function) -> Iterator[Mutant]:
    """All ways to break it by one step."""
    for number, place in enumerate(_places(source)):
        for broken in _breaks(place):
            copied = copy.deepcopy(source)
            changed = _Replace(list(_places(copied))[number], broken).visit(copied)
            change = "negated" if isinstance(place, ast.Return | ast.Lambda) else ast.unparse(broken)
            yield Mutant(function, f"{name_of(function, source)}: {ast.unparse(place)} → {change}",
                         _code(changed, function.__code__.co_filename))


def name_of(function: FunctionType, source: Function) -> str:
    """Its name; of a lambda, itself."""
    return ast.unparse(source) if isinstance(source, ast.Lambda) else function.__name__


def _outermost(tree: ast.AST) -> Iterator[Function]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function):
            yield child
        else:
            yield from _outermost(child)


def _code(source: Function, path: str) -> CodeType:
    """Of a definition by itself."""
    statement = ast.Expr(source) if isinstance(source, ast.Lambda) else source
    module = ast.fix_missing_locations(ast.Module([statement], type_ignores=[]))
    name = "<lambda>" if isinstance(source, ast.Lambda) else source.name
    return next(one for one in compile(module, path, "exec").co_consts
                if isinstance(one, CodeType) and one.co_name == name)


class _Replace(ast.NodeTransformer):
    """One node by another."""

    def __init__(self, place: ast.AST, by: ast.AST):
        self.place, self.by = place, by

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(self.by, node) if node is self.place else self.generic_visit(node)


Place = ast.Return | ast.Lambda | ast.BinOp | ast.UnaryOp


def _places(node: ast.AST, parent: ast.AST | None = None) -> Iterator[Place]:
    """What of a function may be broken: no check, no index, no default, no setting like axis=-1."""
    is_setting = isinstance(node, ast.UnaryOp) and not isinstance(parent, ast.BinOp) and isinstance(
        node.operand, ast.Constant)
    if isinstance(node, Place) and not is_setting:
        yield node
    for name, field in ast.iter_fields(node):
        if not isinstance(node, ast.Raise) and name not in ("slice", "args" if isinstance(node, Function) else ""):
            for child in field if isinstance(field, list) else [field]:
                if isinstance(child, ast.AST):
                    yield from _places(child, node)


def _breaks(place: Place) -> Iterator[ast.AST]:
    """What may stand in its place."""
    match place:
        case ast.Return(value=ast.expr() as value):
            yield ast.Return(_negated(value))
        case ast.Lambda(args=args, body=body):
            yield ast.Lambda(args, _negated(body))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from (ast.BinOp(left, ast.Sub(), right), left, right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield from (ast.BinOp(left, ast.Add(), right), left, ast.UnaryOp(ast.USub(), right))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield from (left, right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from (ast.BinOp(left, ast.Mult(), right), left)
        case ast.BinOp(left=left, op=ast.Pow()):
            yield left


def _negated(value: ast.expr) -> ast.expr:
    """Every leaf of it, whatever names the module has."""
    negate = ast.parse("__import__('jax').tree.map(lambda leaf: -leaf, value)", mode="eval").body
    assert isinstance(negate, ast.Call)
    return ast.Call(negate.func, [negate.args[0], value], [])
