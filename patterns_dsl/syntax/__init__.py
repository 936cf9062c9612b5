"""The syntax tree of a ``.pat`` file.

Nodes are immutable and compare by meaning: spans travel with them and stay out of equality. One vocabulary serves
twice. ``parse`` returns the tree as written. ``bind`` returns a tree in the *core* subset: parameters are numbers,
calls are expanded, and of the relation expressions only ``Pairs``, ``Union``, ``Intersection``, ``Difference``,
``Complement``, ``Composition``, ``Gated`` and ``Pooled`` are left, of the formulas everything but ``Membership``,
``PairMembership`` and bounded ``Exists``, of the terms everything but ``Coordinate`` and ``Function``, of the names
only positions, bound variables and the lengths ``n``, ``nq``, ``nk``. What a selector, the data or a seeded table
decides is a formula of its own: ``Chosen`` or ``Drawn``.
"""

from __future__ import annotations

from .bound import Bound as Bound
from .bound import BoundPattern as BoundPattern
from .bound import BoundPlan as BoundPlan
from .bound import Option as Option
from .bound import Selector as Selector
from .claims import Cache as Cache
from .claims import Causal as Causal
from .claims import Claim as Claim
from .claims import ClaimBase as ClaimBase
from .claims import Density as Density
from .claims import Disjoint as Disjoint
from .claims import Equal as Equal
from .claims import Keys as Keys
from .claims import Lengths as Lengths
from .claims import Nonempty as Nonempty
from .claims import PlanCache as PlanCache
from .claims import PlanClaim as PlanClaim
from .claims import PlanReach as PlanReach
from .claims import Reach as Reach
from .claims import Subset as Subset
from .claims import Symmetric as Symmetric
from .declarations import Assignment as Assignment
from .declarations import Axis as Axis
from .declarations import Direction as Direction
from .declarations import Grid as Grid
from .declarations import Import as Import
from .declarations import Imported as Imported
from .declarations import Integration as Integration
from .declarations import Learn as Learn
from .declarations import Link as Link
from .declarations import Module as Module
from .declarations import Parameter as Parameter
from .declarations import ParameterType as ParameterType
from .declarations import Pattern as Pattern
from .declarations import Plan as Plan
from .declarations import Rule as Rule
from .declarations import Step as Step
from .formulas import And as And
from .formulas import Chosen as Chosen
from .formulas import Comparison as Comparison
from .formulas import Drawn as Drawn
from .formulas import Example as Example
from .formulas import Exists as Exists
from .formulas import Formula as Formula
from .formulas import Membership as Membership
from .formulas import Not as Not
from .formulas import Or as Or
from .formulas import PairMembership as PairMembership
from .node import Node as Node
from .relations import Argument as Argument
from .relations import Call as Call
from .relations import Choices as Choices
from .relations import Complement as Complement
from .relations import Composition as Composition
from .relations import Difference as Difference
from .relations import Elements as Elements
from .relations import Expression as Expression
from .relations import Gated as Gated
from .relations import Intersection as Intersection
from .relations import Pairs as Pairs
from .relations import Pooled as Pooled
from .relations import Positions as Positions
from .relations import Ratio as Ratio
from .relations import Union as Union
from .relations import Value as Value
from .terms import Arithmetic as Arithmetic
from .terms import Coordinate as Coordinate
from .terms import Function as Function
from .terms import Integer as Integer
from .terms import Name as Name
from .terms import Negative as Negative
from .terms import Term as Term
