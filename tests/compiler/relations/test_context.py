"""Budgets of one context, in threads and in a process that was forked."""

from __future__ import annotations

import os
import threading

import pytest

from patternc.compiler.relations.isl.context import CONTEXT, budget


def test_a_thread_waits_for_the_budget_of_another() -> None:
    """Ends that cross would leave the limit of the first to the whole process, for ever."""
    first_is_in, second_asks, second_is_in = threading.Event(), threading.Event(), threading.Event()
    found = {}

    def first() -> None:
        with budget(100_000):
            first_is_in.set()
            second_asks.wait(10)
            second_is_in.wait(0.05)  # it is not: were there no turns, this would be where both are
            found["first"] = (CONTEXT.get_max_operations(), second_is_in.is_set())

    def second() -> None:
        first_is_in.wait(10)
        second_asks.set()
        with budget(7_000):
            second_is_in.set()
            found["second"] = CONTEXT.get_max_operations()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {"first": (100_000, False), "second": 7_000}
    assert CONTEXT.get_max_operations() == 0


def test_budgets_nest_in_a_thread() -> None:
    with budget(9), budget(5):
        assert CONTEXT.get_max_operations() == 5
    assert CONTEXT.get_max_operations() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_wait_for_a_thread_that_it_has_not() -> None:
    is_in, may_leave = threading.Event(), threading.Event()

    def holding() -> None:
        with budget():
            is_in.set()
            may_leave.wait(10)

    thread = threading.Thread(target=holding)
    thread.start()
    is_in.wait(10)
    child = os.fork()
    if child == 0:
        with budget():
            os._exit(7)
    may_leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
