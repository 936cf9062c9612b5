"""The lines of functions, told from their code: those that ``inspect`` finds by reading all of their tokens."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import CodeType

import pytest

from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.launch import Role
from patternc.compiler.kernels.source_lines import lines_of, told_by_code
from patternc.compiler.lowering.stored import stored
from patternc.compiler.pattern import load


def functions(path: Path) -> list[CodeType]:
    code = compile(path.read_text(), str(path), "exec")
    return [each for each in code.co_consts if isinstance(each, CodeType)]


@pytest.mark.parametrize("name", ["a_shape", "longnet_small", "axial"])
@pytest.mark.parametrize("role", ["forward", "backward_query", "backward_key"])
def test_the_lines_of_generated_functions(name: str, role: Role, tmp_path: Path) -> None:
    bound = load(f"library:{name.removesuffix('_small')}")[name].bound
    program = stored(bound.union, bound.direction, name)
    for index in range(len(program.backward if role == "backward_key" else program.forward)):
        path = tmp_path / f"{index}.py"
        path.write_text(emit(program, (role, index)))
        found = functions(path)
        assert found
        for each in found:
            assert lines_of(each) == inspect.getsourcelines(each)


def test_what_the_code_does_not_tell_is_read(tmp_path: Path) -> None:
    path = tmp_path / "others.py"
    path.write_text("def f():\n    return (\n        1\n    )\n    # the end\n\n\ndef g(): return 1\n")
    one, other = functions(path)
    assert lines_of(one) is None
    assert lines_of(other) is None
    with told_by_code(str(path)):
        assert len(inspect.getsourcelines(one)[0]) == 5


def test_inspect_is_as_it_was(tmp_path: Path) -> None:
    usual = inspect.getsourcelines
    with told_by_code(str(tmp_path / "none.py")):
        assert inspect.getsourcelines is not usual
        assert inspect.getsourcelines(functions) == usual(functions)
    assert inspect.getsourcelines is usual
    with pytest.raises(KeyError), told_by_code(str(tmp_path / "none.py")):
        raise KeyError
    assert inspect.getsourcelines is usual
