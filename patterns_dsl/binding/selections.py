"""What the text leaves open: learned selections, documents, seeded tables, and the relations made of them."""

from __future__ import annotations

from functools import cache

from .. import syntax
from ..builtin.natives import NAMED, NATIVES, SIGNATURES
from ..builtin.selectors import ALWAYS, KINDS, NEVER, Contract, Role
from ..diagnostics import codes
from ..diagnostics.source import Source, Span
from ..parsing.kinds import as_term
from ..parsing.parse import parse
from ..syntax import Expression, Formula, Selector, Term
from .calls import Calls
from .fold import arithmetic
from .scope import Closure, Scope

DOCUMENTS = ("holds one document", "holds a document for each token")
"""The examples of documents, in words."""


class Selections(Calls):
    """The part of an expansion that knows the language's own relations and what selectors promise."""

    def related(self, expression: Expression, scope: Scope, query: Term, key: Term) -> Formula:
        """``(query, key) in expression``: see ``Expansion``."""
        raise NotImplementedError

    def formula(self, formula: Formula, scope: Scope) -> Formula:
        """The core form of a formula: see ``Formulas``."""
        raise NotImplementedError

    def measure(self, length: str, span: Span) -> Term:
        """What a length is here: see ``Formulas``."""
        raise NotImplementedError

    # --- the language's own relations ---

    def native(self, call: syntax.Call, scope: Scope, query: Term, key: Term) -> Formula:
        """The core formula of ``(query, key) in call``."""
        span = self.findings.place(call.span)
        if call.name in NAMED:
            return self.named_native(call, scope, query, key)
        outside = Scope((), {})
        values = self.passed(f"`{call.name}`", NATIVES[call.name], call.arguments, scope, outside, call.span)
        if values is None:
            return self.literal(NEVER, span)
        numbers = {
            parameter.name: self.native_number(call, scope, parameter.name)
            for parameter in NATIVES[call.name]
            if parameter.type is syntax.ParameterType.INT
        }
        match call.name:
            case "blocks" | "dilate":
                relation = values["r"]
                assert isinstance(relation, Closure)
                rescale = self.over_blocks if call.name == "blocks" else self.over_classes
                return rescale(relation, numbers["b" if call.name == "blocks" else "d"], query, key, span)
            case "pooled":
                names = {"i": query, "j": key, "s": syntax.Integer(numbers["s"], span=span)}
                past = "i + 1" if self.direction is syntax.Direction.CAUSAL else self.lengths[-1]
                return self.literal(f"(j div s + 1) * s <= {past}", span, names)
            case "random":
                length = self.measure(self.lengths[-1], span)
                return syntax.Drawn(query, key, length, numbers["r"], numbers["block"], numbers["seed"], span=span)
            case _:
                raise ValueError(f"unknown relation {call.name!r}")

    def native_number(self, call: syntax.Call, scope: Scope, name: str) -> int:
        """The value of a number that one of the language's own relations is given; it must be known."""
        given = self.matched(f"`{call.name}`", NATIVES[call.name], call.arguments, call.span)
        parameter = next(each for each in NATIVES[call.name] if each.name == name)
        given_value = given.get(name, parameter.default)
        value = None if given_value is None else as_term(given_value)
        if value is None:
            return 1  # reported where the arguments are passed
        if name == "seed":
            return max(0, self.constant(value, scope, "a seed") or 0)
        return self.positive(value, f"`{name}` of `{call.name}`", scope)

    def over_blocks(self, relation: Closure, size: int, query: Term, key: Term, span: Span) -> Formula:
        """blocks(r, b) = { (i, j) : (i div b, j div b) in r }, where r counts blocks: n is ceil(n / b)."""
        divisor, less = syntax.Integer(size, span=span), syntax.Integer(size - 1, span=span)
        measures = {
            name: arithmetic("div", arithmetic("+", self.measure(name, span), less, span), divisor, span)
            for name in self.lengths
        }
        a, b = (arithmetic("div", side, divisor, span) for side in (query, key))
        with self.measured(measures):
            return self.related(relation.body, relation.scope, a, b)

    def over_classes(self, relation: Closure, gap: int, query: Term, key: Term, span: Span) -> Formula:
        """dilate(r, d) = { (i, j) : (i - j) mod d = 0 and (i div d, j div d) in r }, where r counts the tokens of a
        residue class: n is ceil((n - i mod d) / d)."""
        divisor, less = syntax.Integer(gap, span=span), syntax.Integer(gap - 1, span=span)
        residue = arithmetic("mod", query, divisor, span)
        measures = {}
        for name in self.lengths:
            left = arithmetic("+", arithmetic("-", self.measure(name, span), residue, span), less, span)
            measures[name] = arithmetic("div", left, divisor, span)
        a, b = (arithmetic("div", side, divisor, span) for side in (query, key))
        same = self.literal("(i - j) mod d = 0", span, {"i": query, "j": key, "d": divisor})
        with self.measured(measures):
            return syntax.And(same, self.related(relation.body, relation.scope, a, b), span=span)

    # --- those that take a name ---

    def named_native(self, call: syntax.Call, scope: Scope, query: Term, key: Term) -> Formula:
        span = self.findings.place(call.span)
        values = [argument.value for argument in call.arguments if argument.name is None]
        if len(call.arguments) != 1 or not values or not isinstance(values[0], syntax.Name):
            message, help = f"`{call.name}` takes one name", f"it is written `{SIGNATURES[call.name]}`"
            self.findings.report(codes.ARGUMENT_COUNT, message, call.span, help)
            return self.literal(NEVER, span)
        name = values[0]
        if call.name == "document":
            return self.document(name, scope, query, key, span)
        selector = scope.values.get(name.name)
        if not isinstance(selector, Selector):
            known = {each for each, value in scope.values.items() if isinstance(value, Selector)}
            message, help = f"`{name.name}` is no learned selection", f"declare it: `learn {name.name} = ...`"
            self.findings.unknown(codes.UNKNOWN_NAME, message, name.name, known, name.span, *(() if known else (help,)))
            return self.literal(NEVER, span)
        role = Role.RELATION if call.name == "select" else Role.LEVELS
        if self.role(selector) is not role:
            message = f"`{call.name}` takes another kind of selection than `{name.name}`"
            help = f"`{selector.kind}` selects {self.role(selector).value.format(name=name.name)}"
            self.findings.report(codes.SELECTION_KIND, message, name.span, help)
            return self.literal(NEVER, span)
        return self.chosen(selector, {"i": query, "j": key}, span)

    def document(self, ids: syntax.Name, scope: Scope, query: Term, key: Term, span: Span) -> Formula:
        """Pairs of one document. Where documents begin is known at run time only; a token is always in its own."""
        if ids.name in scope.values or ids.name in scope.relation_names or ids.name in self.lengths:
            message = f"`{ids.name}` stands for something else: `document` names an input of the run"
            self.findings.report(codes.DUPLICATE_NAME, message, ids.span, "use another name, such as `ids`")
        pair = {"i": query, "j": key}
        own = NEVER if self.direction is syntax.Direction.CROSS else "i = j"
        examples = tuple(zip(DOCUMENTS, (ALWAYS, own), strict=True))
        return self.open(ids.name, pair, Contract(own, examples), span)

    # --- selections ---

    def role(self, selector: Selector) -> Role:
        return KINDS[selector.kind].role

    def chosen_position(self, selector: Selector, term: Term, span: Span) -> Formula:
        """The core formula of ``term in selector``."""
        if self.role(selector) is not Role.SET:
            message = f"`{selector.name}` is no set of positions"
            help = f"`{selector.kind}` selects {self.role(selector).value.format(name=selector.name)}"
            self.findings.report(codes.SELECTION_KIND, message, span, help)
            return self.literal(NEVER, span)
        return self.chosen(selector, {"t": term}, self.findings.place(span))

    def chosen(self, selector: Selector, terms: dict[str, Term], span: Span) -> Formula:
        """What a selection promises of a position ``t``, or of a pair ``i``, ``j``."""
        options = dict(selector.options)
        contract = KINDS[selector.kind].contract(options, self.direction)
        numbers = {name: value for name, value in options.items() if isinstance(value, int)}
        return self.open(selector.name, terms, contract, span, numbers)

    def open(
        self, source: str, terms: dict[str, Term], contract: Contract, span: Span, numbers: dict[str, int] | None = None
    ) -> Formula:
        numbers = numbers or {}
        names = terms | {name: syntax.Integer(value, span=span) for name, value in numbers.items()}
        return syntax.Chosen(
            source,
            tuple(terms.values()),
            must=self.literal(contract.must, span, names),
            may=self.literal(ALWAYS, span),
            examples=tuple(
                syntax.Example(words.format(**numbers), self.literal(text, span, names), span=span)
                for words, text in contract.examples
            ),
            most=contract.most,
            span=span,
        )

    def literal(self, text: str, span: Span, names: dict[str, Term] | None = None) -> Formula:
        """The core formula of a text of our own, over the given names."""
        return self.formula(_parsed(text), Scope((), {**(names or {})}))


@cache
def _parsed(text: str) -> Formula:
    tree = parse(Source("selectors", f"rule literal = {{ t : {text} }}"))
    body = tree.rules[0].body
    assert isinstance(body, syntax.Positions)
    return body.formula
