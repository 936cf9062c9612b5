"""The words of the language as an editor explains them: how each is used, and what it means."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    form: str
    meaning: str


WORDS: dict[str, Word] = {
    "rule": Word("rule NAME(PARAMETERS) = R", "A named relation or set of positions."),
    "pattern": Word("pattern NAME(PARAMETERS) DIRECTION { ... }", "Who attends to whom: steps, and claims about them."),
    "plan": Word("plan NAME { layers ... : PATTERN }", "Which layers and heads of a model run which pattern."),
    "from": Word('from "FILE.pat" import NAME', "Takes rules and patterns from another file, or from `library:NAME`."),
    "import": Word('from "FILE.pat" import NAME', "The names that are taken from the file."),
    "as": Word("import NAME as OTHER", "What an imported name is called here."),
    "causal": Word(
        "pattern NAME causal { ... }", "No query attends to a later key: every rule is meant within j <= i."
    ),
    "bidirectional": Word("pattern NAME bidirectional { ... }", "Queries may attend to earlier and later keys."),
    "cross": Word("pattern NAME cross { ... }", "Queries and keys of two sequences, of lengths `nq` and `nk`."),
    "grid": Word("grid(y, x = 64)", "Tokens in raster order: `i.x` is a coordinate. The first axis has no extent."),
    "require": Word("require FORMULA", "What the parameters must satisfy; it is checked when they get values."),
    "learn": Word("learn NAME = SELECTOR(OPTIONS)", "A selection that is made at run time, from what was learned."),
    "step": Word("step NAME = R", "The relation of one attention layer or head; a lone step is the whole pattern."),
    "prove": Word("prove CLAIM", "A claim that is proved for every length, or checked at a stated one."),
    "int": Word("NAME: int = 64", "A whole number."),
    "ratio": Word("NAME: ratio = 10%", "A share, in percent."),
    "set": Word("NAME: set = first(1)", "A set of positions."),
    "relation": Word("NAME: relation = self", "A relation: a set of pairs (query, key)."),
    "nonempty": Word("prove nonempty", "In every step, every query attends to at least one key."),
    "symmetric": Word("prove symmetric", "Whenever i attends to j, j attends to i."),
    "reach": Word("prove reach in K steps", "After K layers, every query has heard of every key that it may hear of."),
    "disjoint": Word("prove disjoint(R, S)", "No pair is in both."),
    "keys": Word("prove keys <= E", "No query attends to more keys than this, over all steps."),
    "cache": Word("prove cache <= E", "While a sequence is decoded, no more keys than this can still be read."),
    "density": Word("prove density <= 10% at n = N", "The share of the pairs that attend, of those that could."),
    "steps": Word("reach in K steps", "Layers that run the steps in turn."),
    "any": Word("in any layer order", "Whatever the order in which the layers take the steps in turn."),
    "order": Word("in any layer order", "Whatever the order in which the layers take the steps in turn."),
    "at": Word("prove CLAIM at n = N", "The claim is about this length alone."),
    "layers": Word("layers 0..3, 7 : PATTERN", "The layers that run a pattern, both ends included; `all` are all."),
    "layer": Word("in any layer order", "Whatever the order in which the layers take the steps in turn."),
    "all": Word("layers all : PATTERN", "Every layer of the model."),
    "heads": Word(
        "layers ... heads 0..3 : PATTERN", "The heads that run it. After the pattern: head h runs step h mod p."
    ),
    "merged": Word("PATTERN merged", "Every head attends to the union of the steps."),
    "interleaved": Word("PATTERN interleaved", "Layer r runs step r mod p."),
    "and": Word("F and G", "Both formulas hold."),
    "or": Word("F or G", "At least one of the formulas holds."),
    "not": Word("not F, not R", "The formula does not hold; the pairs that are not in the relation."),
    "exists": Word(
        "exists k : F, exists k in 0..9 : F", "Some position k, or number of the interval, makes the formula true."
    ),
    "in": Word("t in S, (s, t) in R", "Membership in a set of positions, or in a relation."),
    "div": Word("t div m", "The quotient, rounded down; m is a positive known number."),
    "mod": Word("t mod m", "The remainder of `div`; m is a positive known number."),
    "gated": Word("gated R", "A term with a learned gate per head, which may close."),
}
"""The words that the parser reserves."""

LENGTHS: dict[str, Word] = {
    "n": Word("n", "The length of the sequence."),
    "nq": Word("nq", "The number of queries, in a cross pattern."),
    "nk": Word("nk", "The number of keys, in a cross pattern."),
}

FUNCTIONS: dict[str, Word] = {
    "abs": Word("abs(t)", "The absolute value."),
    "min": Word("min(t, u, ...)", "The least of the numbers."),
    "max": Word("max(t, u, ...)", "The greatest of the numbers."),
}

CLAIMS: dict[str, tuple[str, str]] = {
    "nonempty": ("nonempty", WORDS["nonempty"].meaning),
    "causal": ("causal", "No query attends to a later key."),
    "symmetric": ("symmetric", WORDS["symmetric"].meaning),
    "reach in K steps": ("reach in ${1:2} steps", WORDS["reach"].meaning),
    "reach in any layer order": ("reach in any layer order", "Every query hears of every key, whatever the order."),
    "not reach": ("not reach", "Some pair is never connected, in no number of steps."),
    "R <= S": ("${1:R} <= ${2:S}", "Every pair of R is in S."),
    "R = S": ("${1:R} = ${2:S}", "R and S hold the same pairs."),
    "disjoint(R, S)": ("disjoint(${1:R}, ${2:S})", WORDS["disjoint"].meaning),
    "keys <= E": ("keys <= ${1:64}", WORDS["keys"].meaning),
    "cache <= E": ("cache <= ${1:64}", WORDS["cache"].meaning),
    "density <= E": ("density <= ${1:10}% at n = ${2:4096}", WORDS["density"].meaning),
}
"""The claims of a pattern as snippets: what a completion is called, what it inserts, and what it claims."""

PLAN_CLAIMS: dict[str, tuple[str, str]] = {
    "reach": ("reach", "All layers of the plan together connect every earlier token."),
    "reach in K layers": ("reach in ${1:2} layers", "The first K layers connect every earlier token."),
    "reach in any K layers": ("reach in any ${1:2} layers", "Every K layers in a row connect every earlier token."),
    "not reach": ("not reach", "Some pair is never connected."),
    "cache <= E": ("cache <= ${1:64}", "The live keys of all layers together, per key head."),
}
