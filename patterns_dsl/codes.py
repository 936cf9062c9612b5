"""The codes of the diagnostics of this room, with their titles. A code never changes its meaning."""

from __future__ import annotations

SYNTAX = "P101"
KIND = "P102"
NUMBER_SIZE = "P103"
NESTING = "P104"
STRAY_DOCUMENTATION = "P105"
EMPTY_DECLARATION = "P106"

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

TITLES = {
    SYNTAX: "syntax error",
    KIND: "a number where a relation or set is meant, or the other way round",
    NUMBER_SIZE: "number too large",
    NESTING: "nested too deeply",
    STRAY_DOCUMENTATION: "documentation without a declaration",
    EMPTY_DECLARATION: "a pattern without steps, or a plan without layers",
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
}
