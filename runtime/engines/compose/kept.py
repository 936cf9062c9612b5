"""The routes that are kept from call to call."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable

from .plan.route import Route

KEPT = 256 << 20
"""Bytes of masks, of all routes that are kept at a time."""

MOST = 256
"""Routes that are kept at a time."""


class Kept:
    """Routes by what they are for; the longest unused give way, by the bytes that they hold."""

    def __init__(self) -> None:
        self._routes: OrderedDict[tuple[object, ...], Route] = OrderedDict()
        self._lock = threading.Lock()
        self._owners: Counter[int] = Counter()  # of how many routes each is, or has the masks
        self._held = 0  # bytes of masks, of which those that routes share count once

    def find(self, key: tuple[object, ...], make: Callable[[], Route]) -> Route:
        with self._lock:
            if (found := self._routes.get(key)) is not None:
                self._routes.move_to_end(key)
                return found
        made = make()
        with self._lock:
            if key not in self._routes:
                self._routes[key] = made
                self._count(made, 1)
            while len(self._routes) > 1 and (self._held > KEPT or len(self._routes) > MOST):
                self._count(self._routes.popitem(last=False)[1], -1)
        return made

    def _count(self, route: Route | None, by: int) -> None:
        while route is not None:
            before = self._owners[id(route)]
            self._owners[id(route)] += by
            if before == 0 or before + by == 0:
                self._held += by * route.held
            if before + by == 0:
                del self._owners[id(route)]
            route = route.masks_of

    def clear(self) -> None:
        with self._lock:
            self._routes.clear()
            self._owners.clear()
            self._held = 0
