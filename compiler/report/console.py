"""How commands talk: colour where it is wanted, words to stderr, errors as exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import typer

from .palette import Paint


class When(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def paint(when: When) -> Paint:
    """Whether stdout gets colours: asked for, or a terminal without NO_COLOR (no-color.org: set and not empty)."""
    if when is When.AUTO:
        return Paint(sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")
    return Paint(when is When.ALWAYS)


def say(message: str, quiet: bool = False) -> None:
    """Words for people."""
    if not quiet:
        print(message, file=sys.stderr)


def refusal(error: OSError) -> str:
    """The place and the reason. What fills a disk has no name where it is a stream."""
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return f"what was to be written: {error.strerror}" if error.errno == errno.ENOSPC else str(error)


@contextmanager
def failures(*refusals: type[Exception]) -> Iterator[None]:
    """Expected errors as messages and exit codes; anything else is a bug and keeps its traceback.

    ``refusals`` are the further errors by which the command says that something cannot be done.
    """
    from ...library.catalogue import UnknownPattern
    from ...patterns_dsl.diagnostics.diagnostic import PatternError
    from ..selection import UsageError

    try:
        yield
    except PatternError as error:
        say(str(error))
        raise typer.Exit(1) from None
    except BrokenPipeError:
        raise  # nobody reads on, as behind `| head`: typer ends without a word
    except OSError as error:
        say(f"error: {refusal(error)}")
        raise typer.Exit(2) from None
    except (UsageError, UnknownPattern, UnicodeDecodeError) as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    except refusals as error:
        say(f"error: {error}")
        raise typer.Exit(1) from None


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr, with a function that names what is being done. Nothing where stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: say(f"{label}: {step}", quiet)
        return
    from rich.console import Console

    with Console(stderr=True).status(label) as status:
        yield lambda step: status.update(f"{label}: {step}")
