"""What a pattern or a plan is and costs: its kind, its keys, its cache, its hops, and the work of running it."""

from __future__ import annotations

from .account import Account as Account
from .account import explain as explain
from .plan import PlanAccount as PlanAccount
from .plan import explain_plan as explain_plan
