"""The routes that are kept from call to call."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .plan.route import Route

KEPT = 256 << 20
"""Bytes of masks, of all routes that are kept at a time."""


class Kept:
    """Routes by what they are for; the longest unused give way, by the bytes that they hold."""

    def __init__(self) -> None:
        self._routes: OrderedDict[tuple[object, ...], Route] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: tuple[object, ...], make: Callable[[], Route]) -> Route:
        with self._lock:
            if (found := self._routes.get(key)) is not None:
                self._routes.move_to_end(key)
                return found
        made = make()
        with self._lock:
            self._routes.setdefault(key, made)
            while len(self._routes) > 1 and (self._held() > KEPT or len(self._routes) > 256):
                self._routes.popitem(last=False)
        return made

    def _held(self) -> int:
        """Bytes of masks, of which those that routes share count once."""
        owners: dict[int, int] = {}
        for route in self._routes.values():
            each: Route | None = route
            while each is not None:
                owners[id(each)] = each.held
                each = each.masks_of
        return sum(owners.values())

    def clear(self) -> None:
        with self._lock:
            self._routes.clear()
