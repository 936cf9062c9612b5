"""What the runtime refuses, as types. Each message names what was found and what to do instead."""

from __future__ import annotations


def in_a_line(error: BaseException, most: int | None = None) -> str:
    """The type of an exception and the first line of its message, which may be empty; of that ``most`` characters."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:most]}"


class ArgumentError(ValueError):
    """A call argument of a compiled program that does not fit: ``argument``, ``found``, ``remedy``."""

    def __init__(self, argument: str, found: str, remedy: str) -> None:
        self.argument, self.found, self.remedy = argument, found, remedy
        super().__init__(f"argument {argument!r}: {found}; {remedy}")


class EngineError(ValueError):
    """An engine that does not exist, or that this machine or this data type cannot use."""


class EngineUnavailable(EngineError):
    """An engine without a device to run on; the message states the remedy."""


class AttachError(ValueError):
    """A model that a pattern cannot be attached to, or an attachment that is not in force."""


class SavedError(AttachError):
    """A saved attachment that is not intact, or is of another format, pattern or model."""


class PlanError(AttachError):
    """A plan that does not fit the model: a layer or a head out of range, or assigned twice."""


class UnsupportedCallError(AttachError):
    """A forward call that asks the attention for something that no engine implements. ``told``: to the other processes
    of a group, of which each has a part of the text."""

    told = False


class CostWarning(UserWarning):
    """A pattern that runs, and is dear as it is written: the message has the number, and what would be cheaper."""


class IdleWarning(UserWarning):
    """A pattern that runs, and has a selection that chooses what is forced alone: the message says which."""
