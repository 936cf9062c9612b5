"""read: the functions of generated source, by their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .integer import ReadError, refuse
from .source_template import dotted, same_arguments, template
from .statements import Statements, name_of

KERNEL = re.compile(r"(forward|backward_query|backward_key)_(\d+)")
BOUND = re.compile(r"term(\d+)_\w*?(\d*)")
_CHOICE = re.compile(r"ranges\w+")
_MASK = re.compile(r"keep(\d+)")
_IMPORTS = ("import triton", "import triton.language as tl")
_LIBRARY = "patternc.runtime.engines.triton.tiles"


class Functions:
    """What a module holds: kernels, bounds of terms, choices among these, and masks."""

    def __init__(self, source: str) -> None:
        """Raises ReadError where it is not Python, or holds anything else but a docstring and its imports."""
        try:
            module = ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # the latter two: nested too deep
            raise ReadError(f"generated source is not Python: {error}") from error
        self.docstring = ast.get_docstring(module) or ""
        self._by_name = _functions(module)

    def kernels(self) -> Iterator[tuple[str, int, ast.FunctionDef]]:
        """(kind, number, function)."""
        for name, function in self._by_name.items():
            if found := KERNEL.fullmatch(name):
                yield found.group(1), int(found.group(2)), function

    def result(self, name: str, parameters: tuple[str, ...]) -> ast.expr:
        """What a one-line function returns."""
        function = self._named(name, ", ".join(parameters))
        match function.body:
            case [ast.Return(value=value)] if value is not None:
                return value
        raise refuse(function, f"{name} does not return one expression")

    def chosen(self, name: str, ranges: int, parameters: tuple[str, ...]) -> list[str]:
        """The names of the bounds, with these parameters, among which a function chooses for so many ranges."""
        given = ", ".join(parameters)
        function = self._named(name, f"r, {given}")
        rows = []
        for at in range(ranges):
            rows.append("else:" if at == ranges - 1 else f"{'elif' if at else 'if'} r == {at}:")
            rows.append(f"    bound = HOLE_{at}({given})")
        body = Statements(function, function.body)
        holes = body.take("\n".join([*rows, "return bound"]))
        if body.rest:
            raise refuse(function, f"{name} goes on after its choice")
        return [name_of(holes, str(at)) for at in range(ranges)]

    def _named(self, name: str, parameters: str) -> ast.FunctionDef:
        """The function of that name, which takes these parameters."""
        if name not in self._by_name:
            raise ReadError(f"generated source: no function {name}")
        function = self._by_name[name]
        [wanted] = template(f"def f({parameters}): pass")
        assert isinstance(wanted, ast.FunctionDef)
        decorators = [dotted(each) for each in function.decorator_list]
        if decorators != ["triton.jit"] or not same_arguments(wanted, function):
            raise refuse(function, f"{name} is not a function of ({parameters})")
        return function


def _functions(module: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions of a module that holds nothing else but its docstring and the imports."""
    functions: dict[str, ast.FunctionDef] = {}
    for index, statement in enumerate(module.body):
        match statement:
            case ast.FunctionDef(name=name):
                if name in functions or not any(form.fullmatch(name) for form in (KERNEL, BOUND, _CHOICE, _MASK)):
                    raise refuse(statement, f"unexpected function {name}")
                functions[name] = statement
            case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                pass
            case ast.Import() if ast.unparse(statement) in _IMPORTS:
                pass
            case ast.ImportFrom(module=source, level=0, names=names) if source == _LIBRARY:
                if any(item.asname is not None or BOUND.fullmatch(item.name) for item in names):
                    raise refuse(statement, "renamed import")
            case _:
                raise refuse(statement, "unexpected statement")
    return functions
