"""The pytest plugin: `.pat` files are tests, one for each claim.

Off by default, so that installing patternc changes no test run: ``pytest --pat``, or in the configuration

    [tool.pytest.ini_options]
    patternc_collect = true

A claim passes where it is PROVED or CHECKED. It fails with its diagnostic where it is refuted, and where it could not
be decided. A file that cannot be read or bound is one test, which fails. Every other import waits for a `.pat` file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..compiler.pattern import Module, Pattern, Plan
    from ..patterns_dsl.diagnostics.diagnostic import Diagnostic
    from ..patterns_dsl.syntax import Claim, PlanClaim

OPTION, INI = "--pat", "patternc_collect"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("patternc", "patterns of sparse attention")
    group.addoption(OPTION, action="store_true", default=False, help="collect .pat files: one test for each claim")
    parser.addini(INI, type="bool", default=False, help="collect .pat files: one test for each claim")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> PatFile | None:
    wanted = parent.config.getoption(OPTION) or parent.config.getini(INI)
    if not wanted or file_path.suffix != ".pat":
        return None
    found: PatFile = PatFile.from_parent(parent, path=file_path)
    return found


class Complaint(Exception):
    """What pytest shows instead of a traceback."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.text = "\n\n".join(one.render() for one in diagnostics)
        super().__init__(self.text)


class PatFile(pytest.File):
    """A `.pat` file; its patterns and plans are its children."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        module, errors = self._read()
        if errors or module is None:
            yield Unusable.from_parent(self, name="errors", diagnostics=errors)
            return
        for pattern in module.patterns.values():
            yield Claims.from_parent(self, name=pattern.name, subject=pattern.bind())
        for plan in module.plans.values():
            name = f"plan {plan.name}" if plan.name in module.patterns else plan.name
            yield Claims.from_parent(self, name=name, subject=plan)

    def _read(self) -> tuple[Module | None, tuple[Diagnostic, ...]]:
        from ..compiler.examine import bind_all
        from ..compiler.pattern import Module
        from ..compiler.selection import Reference
        from ..patterns_dsl.diagnostics.diagnostic import PatternError
        from ..patterns_dsl.parsing.read import read

        try:
            module = Module(read(self.path, self.nodeid))
        except PatternError as error:
            return None, error.diagnostics
        except OSError as error:
            raise self.CollectError(f"{self.nodeid}: {error.strerror}") from None
        return module, bind_all(module, Reference(str(self.path), None), {})[2]


class Claims(pytest.Collector):
    """A pattern or a plan; its claims are its children."""

    def __init__(self, *, subject: Pattern | Plan, **rest: Any) -> None:
        super().__init__(**rest)
        self.subject = subject

    def collect(self) -> Iterator[pytest.Item]:
        names: set[str] = set()
        for number, claim in enumerate(self.subject.bound.claims):
            text = " ".join(claim.span.text.split()).removeprefix("prove ")
            place = f"line {claim.span.line}"
            known = (text, f"{text} ({place})", f"{text} ({place}, column {claim.span.column})")
            name = next(each for each in known if each not in names)  # two claims have two columns
            names.add(name)
            yield ClaimItem.from_parent(self, name=name, claim=claim, number=number)


class PatItem(pytest.Item):
    """A test whose failure is a diagnostic."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Complaint):
            return excinfo.value.text
        return super().repr_failure(excinfo, style)


class ClaimItem(PatItem):
    """One claim: proved, or checked at its stated length."""

    def __init__(self, *, claim: Claim | PlanClaim, number: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.claim, self.number = claim, number

    def runtest(self) -> None:
        from dataclasses import replace

        from ..compiler.examine import complaint, warning
        from ..compiler.verify.guard import check_within

        assert isinstance(self.parent, Claims)
        bound: Any = replace(self.parent.subject.bound, claims=(self.claim,))  # type: ignore[arg-type]
        [result] = check_within(bound)
        found = complaint(result)
        if found is not None:
            raise Complaint([found])
        noted = warning(result)
        if noted is not None:
            self.add_report_section("call", "patternc", noted.render())

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.claim.span.line - 1, f"{self.parent.name if self.parent else ''}: {self.name}"


class Unusable(PatItem):
    """A file that cannot be read or bound."""

    def __init__(self, *, diagnostics: tuple[Diagnostic, ...], **rest: Any) -> None:
        super().__init__(**rest)
        self.diagnostics = diagnostics

    def runtest(self) -> None:
        raise Complaint(self.diagnostics)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self.diagnostics[0].span.line - 1, self.name
