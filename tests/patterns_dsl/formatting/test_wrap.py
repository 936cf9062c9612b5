"""How long lines are broken, by example."""

from __future__ import annotations

import pytest
from texts import check

LONG = {
    "a union": (
        "step " + " | ".join(f"local({k})" for k in range(10, 25)),
        ["    step local(10)", *(f"        | local({k})" for k in range(11, 25))],
    ),
    "a formula in a set": (
        "step a = { (i, j) : " + " or ".join(f"i - j = {k} and i mod {k} = 0" for k in range(10, 15)) + " }",
        [
            "    step a = { (i, j) : i - j = 10 and i mod 10 = 0",
            *(f"        or i - j = {k} and i mod {k} = 0" for k in range(11, 14)),
            "        or i - j = 14 and i mod 14 = 0 }",
        ],
    ),
    "a list": (
        "step a = columns({" + ", ".join(str(k) for k in range(100, 130)) + "})",
        [
            "    step a = columns({" + ", ".join(str(k) for k in range(100, 119)) + ",",
            "        " + ", ".join(str(k) for k in range(119, 130)) + "})",
        ],
    ),
    "operators in operators": (
        "require " + " and ".join(f"w >= {k}" for k in range(10, 25)) + " or w = 3",
        ["    require w >= 10", *(f"            and w >= {k}" for k in range(11, 25)), "        or w = 3"],
    ),
    "a sum": (
        "require " + " + ".join(["w"] * 40) + " > 3",
        ["    require " + " + ".join(["w"] * 27), "            + " + " + ".join(["w"] * 13), "        > 3"],
    ),
    "a claim at two lengths": (
        "prove " + " | ".join(f"local({k})" for k in range(100, 110)) + " <= self at nq = 8, nk = 4",
        [
            "    prove local(100)",
            *(f"        | local({k})" for k in range(101, 109)),
            "        | local(109) <= self at nq = 8, nk = 4",
        ],
    ),
    "what cannot be broken": (f"step {'a' * 130}", [f"    step {'a' * 130}"]),
}


@pytest.mark.parametrize("name", LONG)
def test_long_statements(name: str) -> None:
    before, after = LONG[name]
    result = check(f"pattern p(w: int) causal {{ step b = self {before} step c = self }}")
    lines = ["pattern p(w: int) causal {", "    step b = self", *after, "    step c = self", "}"]
    assert result.splitlines() == lines


def test_long_heads() -> None:
    names = [f"parameter{k}: int = {k}" for k in range(9)]
    first, second = ", ".join(names[:5]) + ",", ", ".join(names[5:])
    text = f"pattern p({', '.join(names)}) causal {{ step self }} rule r({', '.join(names)}) = self | local(3)"
    assert check(text) == (
        f"pattern p({first}\n        {second}) causal {{\n    step self\n}}\n\n"
        f"rule r({first}\n        {second}) = self\n    | local(3)\n"
    )


def test_the_body_of_a_rule_is_broken_before_its_head() -> None:
    cases = [f"i - j = {k} and i mod {k} = 0" for k in range(10, 14)]
    text = f"rule r(w: int = 4, s: set = {{0, 5..9}}) = {{ (i, j) : {' or '.join(cases)} }}"
    first, *rest = (f"    or {case}" for case in cases)
    head = f"rule r(w: int = 4, s: set = {{0, 5..9}}) = {{ (i, j) : {first.removeprefix('    or ')}"
    assert check(text) == "\n".join([head, *rest]) + " }\n"


def test_so_it_is_where_the_operators_of_the_head_are_outside_more_brackets() -> None:
    terms = [f"first({k})" for k in range(100, 109)]
    head = "rule r(s: set = first(2) | last(2)) = columns(rest("
    joined = "\n    | ".join(terms)
    assert check(f"{head}{' | '.join(terms)}))") == f"{head}{joined}))\n"


def test_a_long_rule_stands_apart() -> None:
    long = "rule b = " + " | ".join(f"local({k})" for k in range(100, 112))
    broken = long.replace(" | ", "\n    | ")
    assert check(f"rule a = self\n{long}\nrule c = self\nrule de = self") == (
        f"rule a = self\n\n{broken}\n\nrule c  = self\nrule de = self\n"
    )


def test_lines_stay_where_they_are_if_one_would_become_too_long() -> None:
    body = " | ".join(["local(100)"] * 8)
    for gap in ("=", "#"):
        long = f"    step a = {body}" if gap == "=" else f"    step a  # {body}"
        short = "    step abcdefghijklmnopqrstuvwxyz = self" + "  # why" * (gap == "#")
        text = "\n".join(["pattern p causal {", long, short, "}", ""])
        assert check(text) == text
