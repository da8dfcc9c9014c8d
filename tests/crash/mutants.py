"""
Mutants: a module with one small mistake in it, of the kinds that people make.

Left alone are: docstrings, annotations, what is only said (texts of errors and logs), and
`assert`, which states what cannot happen.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from attrs import define, field

Function = ast.FunctionDef | ast.AsyncFunctionDef
Change = tuple[ast.AST, Callable[[], None], Callable[[], None], str, str]
"""Where, how it is made, how it is undone, what stood there, what stands there."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitOr: ast.BitAnd,
}
SPEECH = {"debug", "info", "warning", "error", "exception"}
SHORT = 24
"""A change of fewer characters is told with the statement around it."""
NEWLINE = "\n"


@define
class Mutant:
    """
    One mistake.

    Attributes:
        scope: The function it is in, as Python qualifies it; "" at the level of the module.
        lines: Of the statement that it changes.
        key: Names it, for people.
        id: Names it as long as the function around it stays as it is.
    """

    module: str
    scope: str
    lines: range
    key: str
    id: str
    _tree: ast.Module = field(repr=False)
    _make: Callable[[], None] = field(repr=False)
    _undo: Callable[[], None] = field(repr=False)

    def text(self) -> str:
        """Return the module with the mistake."""
        self._make()
        try:
            return ast.unparse(ast.fix_missing_locations(self._tree))
        finally:
            self._undo()


def mutants_of(path: Path, module: str) -> list[Mutant]:
    """Return every mutant of the module, in the order of its lines."""
    tree = ast.parse(path.read_text("utf-8"))
    seen: Counter[str] = Counter()
    functions = dict(_functions(tree, ""))
    found = []
    for scope, statement, change in _statements(tree, ""):
        node, make, undo, old, new = change
        what = f"{scope or 'module'}: {old} -> {new}"
        if len(old) < SHORT:
            what += f" in {ast.unparse(statement).partition(NEWLINE)[0]}"
        seen[what] += 1
        nth = f" #{seen[what]}" if seen[what] > 1 else ""
        lines = range(getattr(node, "lineno", statement.lineno), _header_end(statement) + 1)
        first = min(lines.start, statement.lineno)
        key = what + nth
        place = functions.get(scope) or ast.unparse(statement)
        digest = sha256(f"{module}\n{key}\n{place}".encode()).hexdigest()[:24]
        lines = range(first, lines.stop)
        found.append(Mutant(module, scope, lines, key, digest, tree, make, undo))
    return found


def _functions(parent: ast.AST, scope: str) -> Iterator[tuple[str, str]]:
    """Give the text of every function of the module and of its classes."""
    for child in ast.iter_child_nodes(parent):
        if isinstance(child, Function):
            yield f"{scope}{child.name}", ast.unparse(child)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{scope}{child.name}.")


def _header_end(statement: ast.stmt) -> int:
    """Return the last line of a statement, without the block that it heads."""
    body = getattr(statement, "body", None)
    end = statement.end_lineno or statement.lineno
    return max(body[0].lineno - 1, statement.lineno) if body else end


def _statements(parent: ast.AST, scope: str) -> Iterator[tuple[str, ast.stmt, Change]]:
    """Give the changes of every statement in *parent*, with the function it stands in."""
    for name, block in ast.iter_fields(parent):
        if not isinstance(block, list):
            continue
        for index, child in enumerate(block):
            if isinstance(child, ast.ExceptHandler | ast.match_case):
                yield from _statements(child, scope)
            if not isinstance(child, ast.stmt) or _is_left_alone(child):
                continue
            for change in _changes(child, block, index):
                yield scope, child, change
            yield from _statements(child, _inner(scope, child, parent))
            if isinstance(child, Function) and not _is_in_function(scope, parent):
                for change in _defaults(child):
                    yield "", child, change
        if name == "finalbody" and block:
            statement = block[0]
            yield scope, statement, _replace(parent, name, [ast.Pass()], "finally …", "pass")


def _inner(scope: str, child: ast.stmt, parent: ast.AST) -> str:
    if isinstance(child, Function) and _is_in_function(scope, parent):
        return scope  # What is defined in a function belongs to it.
    if isinstance(child, Function | ast.ClassDef):
        return f"{scope}.{child.name}" if scope else child.name
    return scope


def _is_in_function(scope: str, parent: ast.AST) -> bool:
    return bool(scope) and not isinstance(parent, ast.ClassDef)


def _is_left_alone(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert | ast.Pass):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return True
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    return False


def _changes(statement: ast.stmt, block: list[ast.stmt], index: int) -> Iterator[Change]:
    yield from _whole(statement, block, index)
    if isinstance(statement, ast.If | ast.While) and _is_worth_negating(statement.test):
        negated = ast.UnaryOp(ast.Not(), statement.test)
        yield _replace(statement, "test", negated, *_shown(statement.test, negated))
    if isinstance(statement, ast.Try):
        for handler in statement.handlers:
            yield from _handlers(handler)
    if not isinstance(statement, ast.Raise):
        for node in _expressions(statement):
            yield from _in_expression(node)
    elif isinstance(statement.exc, ast.Call):
        for keyword in statement.exc.keywords:
            if keyword.arg not in (None, "why", "source"):
                for node in _walk(keyword.value):
                    yield from _in_expression(node)


def _is_worth_negating(test: ast.expr) -> bool:
    """Return whether no change of an operator says the same."""
    return not isinstance(test, ast.UnaryOp | ast.Compare)


def _whole(  # noqa: C901 - one for each kind of statement
    statement: ast.stmt, block: list[ast.stmt], index: int
) -> Iterator[Change]:
    """Give the changes of a statement as such: it is forgotten, or does nothing."""

    def instead(new: ast.stmt) -> Change:
        def make() -> None:
            block[index] = new

        def undo() -> None:
            block[index] = statement

        old = ast.unparse(statement).partition("\n")[0]
        return statement, make, undo, old, ast.unparse(new)

    match statement:
        case ast.Raise() | ast.Expr() | ast.AugAssign() | ast.Delete():
            yield instead(ast.Pass())
        case ast.Continue() | ast.Break() | ast.Return(value=None):
            yield instead(ast.Pass())
        case ast.Return(value=ast.Constant(value=value)) if not value:
            pass
        case ast.Return():
            yield instead(ast.Return(ast.Constant(None)))
        case ast.Assign(value=ast.Constant(value=value), targets=[ast.Name()]) if not value:
            pass
        case ast.Assign(targets=[ast.Name()]):
            yield instead(ast.Assign(statement.targets, ast.Constant(None), lineno=1))
        case ast.Assign():
            yield instead(ast.Pass())


def _handlers(handler: ast.ExceptHandler) -> Iterator[Change]:
    kind = handler.type
    if isinstance(kind, ast.Tuple):
        for at in range(len(kind.elts)):
            fewer = ast.Tuple([e for i, e in enumerate(kind.elts) if i != at], ast.Load())
            yield _replace(handler, "type", fewer, *_shown(kind, fewer, "except "))
    if kind is not None and ast.unparse(kind) not in ("Exception", "BaseException"):
        wider = ast.Name("Exception", ast.Load())
        yield _replace(handler, "type", wider, *_shown(kind, wider, "except "))


def _defaults(function: Function) -> Iterator[Change]:
    for default in [*function.args.defaults, *function.args.kw_defaults]:
        if isinstance(default, ast.Constant):
            for _, make, undo, old, new in _constants(default):
                yield default, make, undo, f"{function.name}(…={old})", f"={new}"


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Give every node of the statement that is neither a block below it nor an annotation."""
    for name, value in ast.iter_fields(statement):
        if name in ("annotation", "args", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr | ast.withitem | ast.keyword):
                yield from _walk(child)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr) or _is_spoken(node):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def _is_spoken(node: ast.AST) -> bool:
    """Return whether what stands here is only for people and type checkers."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id == "Literal"
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    if isinstance(called, ast.Attribute):
        return called.attr in SPEECH
    return isinstance(called, ast.Name) and called.id in ("DurabilityLost", "Invalid", "TypeVar")


def _in_expression(node: ast.AST) -> Iterator[Change]:
    make = BY_NODE.get(type(node))
    if make is not None:
        yield from make(node)


def _joins_text(node: ast.BinOp) -> bool:
    """Return whether another operator would only be a TypeError."""
    sides = (node.left, node.right)
    return any(isinstance(s, ast.Constant) and isinstance(s.value, str | bytes) for s in sides)


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for at, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            yield _replace_op(node, "ops", [*node.ops[:at], other(), *node.ops[at + 1 :]])


def _junctions(node: ast.BoolOp) -> Iterator[Change]:
    yield _replace_op(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for at in range(len(node.values)):
        yield _replace_op(node, "values", [v for i, v in enumerate(node.values) if i != at])


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        others: list[object] = [not value]
    elif isinstance(value, int):
        others = [value + 1, value - 1]
    elif isinstance(value, float):
        others = [value * 2 or 1.0]
    elif isinstance(value, str):
        others = [value + "?"]
    elif isinstance(value, bytes):
        others = [value + b"?"]
    else:
        others = []
    for other in others:
        yield _replace_op(node, "value", other)


def _arguments(node: ast.Call) -> Iterator[Change]:
    for at, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            rest = [k for i, k in enumerate(node.keywords) if i != at]
            yield _replace_op(node, "keywords", rest)


def _signs(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.USub):
        yield _replace_op(node, "op", ast.UAdd())
    elif isinstance(node.op, ast.Not):
        double = ast.UnaryOp(ast.Not(), node.operand)
        yield _replace(node, "operand", double, *_shown(node, node.operand))


def _operators(node: ast.BinOp) -> Iterator[Change]:
    if type(node.op) in OPERATORS and not _joins_text(node):
        yield _replace_op(node, "op", OPERATORS[type(node.op)]())


def _choices(node: ast.IfExp) -> Iterator[Change]:
    if _is_worth_negating(node.test):
        new = ast.UnaryOp(ast.Not(), node.test)
        yield _replace(node, "test", new, *_shown(node.test, new))


def _bounds(node: ast.Slice) -> Iterator[Change]:
    for name in ("lower", "upper"):
        if getattr(node, name) is not None:
            yield _replace_op(node, name, None)


def _conditions(node: ast.comprehension) -> Iterator[Change]:
    for at, condition in enumerate(node.ifs):
        rest = [c for i, c in enumerate(node.ifs) if i != at]
        yield _replace(node, "ifs", rest, f"if {ast.unparse(condition)}", "always")


def _replace_op(node: ast.AST, name: str, new: object) -> Change:
    """Return the change of one field of *node*, told by the expression before and after."""
    old_text = ast.unparse(node)
    old = getattr(node, name)
    setattr(node, name, new)
    new_text = ast.unparse(node)
    setattr(node, name, old)
    return _replace(node, name, new, old_text, new_text)


def _replace(node: ast.AST, name: str, new: object, old_text: str, new_text: str) -> Change:
    old = getattr(node, name)
    return (
        node,
        lambda: setattr(node, name, new),
        lambda: setattr(node, name, old),
        old_text,
        new_text,
    )


def _shown(old: ast.AST, new: ast.AST, before: str = "") -> tuple[str, str]:
    return before + ast.unparse(old), before + ast.unparse(new)


BY_NODE: dict[type[ast.AST], Callable[..., Iterator[Change]]] = {
    ast.Compare: _comparisons,
    ast.BoolOp: _junctions,
    ast.UnaryOp: _signs,
    ast.BinOp: _operators,
    ast.IfExp: _choices,
    ast.Constant: _constants,
    ast.Call: _arguments,
    ast.Slice: _bounds,
    ast.comprehension: _conditions,
}
