"""The codes of all diagnostics, with their titles. A code never changes its meaning; each has a page in docs/errors."""

from __future__ import annotations

SYNTAX = "P101"
KIND = "P102"
NUMBER_SIZE = "P103"
NESTING = "P104"
STRAY_DOCUMENTATION = "P105"
EMPTY_DECLARATION = "P106"
ENCODING = "P107"
FILE_SIZE = "P108"

UNKNOWN_NAME = "P201"
DUPLICATE_NAME = "P202"
RESERVED_NAME = "P203"
ARGUMENT_COUNT = "P204"
UNKNOWN_ARGUMENT = "P205"
ARGUMENT_TYPE = "P206"
NOT_A_RELATION = "P207"
REQUIREMENT = "P208"
NOT_CONSTANT = "P209"
NONLINEAR = "P210"
MODULUS = "P211"
LENGTH_NAME = "P212"
RECURSION = "P213"
INTERVAL = "P214"
UNKNOWN_PATTERN = "P215"
OUT_OF_RANGE = "P216"
TWO_SEQUENCES = "P217"
IMPORT = "P218"
IMPORT_CYCLE = "P219"
SELECTOR = "P220"
OPTION = "P221"
SELECTION_KIND = "P222"
LONE_TERM = "P223"
COORDINATE = "P224"
CONTRADICTION = "P225"
IDLE_CLAIM = "P226"
ASSIGNED_TWICE = "P227"
MIXED_DIRECTIONS = "P228"

CAUSAL = "P301"
NONEMPTY = "P302"
REACH = "P303"
SUBSET = "P304"
EQUAL = "P305"
DISJOINT = "P306"
SYMMETRIC = "P307"
KEYS = "P308"
CACHE = "P309"
UNDECIDED = "P310"
DENSITY = "P311"
MANY_HOPS = "P320"

TOO_COMPLEX = "P401"
NO_ENGINE = "P403"

TITLES = {
    SYNTAX: "syntax error",
    KIND: "a number where a relation or set is meant, or the other way round",
    NUMBER_SIZE: "number too large",
    NESTING: "nested too deeply",
    STRAY_DOCUMENTATION: "documentation without a declaration",
    EMPTY_DECLARATION: "a pattern without steps, or a plan without layers",
    ENCODING: "not UTF-8 text",
    FILE_SIZE: "file too large",
    UNKNOWN_NAME: "unknown name",
    DUPLICATE_NAME: "name defined twice",
    RESERVED_NAME: "the name of a length cannot be given to something else",
    ARGUMENT_COUNT: "missing argument, or one too many",
    UNKNOWN_ARGUMENT: "no parameter of this name, or given twice",
    ARGUMENT_TYPE: "argument of the wrong type",
    NOT_A_RELATION: "a set of positions where a relation is meant, or the other way round",
    REQUIREMENT: "requirement not met",
    NOT_CONSTANT: "a number that must be known is not",
    NONLINEAR: "formula is not linear",
    MODULUS: "division by something that is not a positive number",
    LENGTH_NAME: "no such length in a pattern of this direction",
    RECURSION: "rule defined through itself",
    INTERVAL: "interval empty or too long",
    UNKNOWN_PATTERN: "unknown pattern or plan",
    OUT_OF_RANGE: "number out of range",
    TWO_SEQUENCES: "hops in a cross pattern, whose queries and keys are not the same tokens",
    IMPORT: "imported file cannot be read",
    IMPORT_CYCLE: "files import each other in a circle",
    SELECTOR: "unknown selector",
    OPTION: "a selector does not have this option, or not with this value",
    SELECTION_KIND: "a selection used as what it is not",
    LONE_TERM: "a gated, pooled or refined term inside another operator",
    COORDINATE: "no such coordinate, or no grid",
    CONTRADICTION: "two claims that contradict each other",
    IDLE_CLAIM: "a claim that cannot be made of such a pattern",
    ASSIGNED_TWICE: "a layer and head assigned twice",
    MIXED_DIRECTIONS: "a claim about a plan whose patterns have different directions",
    CAUSAL: "a query attends to a later key (`causal` refuted)",
    NONEMPTY: "a query attends to no key (`nonempty` refuted)",
    REACH: "a token never hears of another (`reach` refuted), or does (`not reach` refuted)",
    SUBSET: "a pair of the left relation is not in the right (`<=` refuted)",
    EQUAL: "a pair is in one relation only (`=` refuted)",
    DISJOINT: "a pair is in both relations (`disjoint` refuted)",
    SYMMETRIC: "a pair whose mirror image is missing (`symmetric` refuted)",
    KEYS: "a query attends to more keys than claimed (`keys` refuted)",
    CACHE: "more keys stay live than claimed (`cache` refuted)",
    UNDECIDED: "a claim could not be decided",
    DENSITY: "more pairs attend than claimed (`density` refuted)",
    MANY_HOPS: "reach takes more than three hops",
    TOO_COMPLEX: "the closed form of a relation needs more than its budget",
    NO_ENGINE: "decided at run time, where no program can hold it or no engine runs it",
}
