"""Put patterns into a transformers model, and take them out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ...compiler.pattern import Pattern, Plan
from ..arguments import seed_of
from ..errors import AttachError
from .attaching.discovery import Layer, check_model, discover
from .attaching.entrances import find_entrances
from .attaching.plan import Shape, Share, share_all, share_plan
from .attaching.programs import bindings_of, learned_of, learns
from .calls.binding import implementation_name
from .calls.watching import Watching
from .handle import Handle

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def attach(
    model: nn.Module,
    pattern: Pattern | Plan,
    *,
    engine: str = "auto",
    random: int | None = None,
    group: ProcessGroup | None = None,
    zigzag: bool = False,
) -> Handle:
    """Make the attention layers of ``model`` run a pattern, or a plan's patterns layer by layer.

    A pattern runs with its steps merged in every head of every layer. Layers and heads that a plan leaves out keep
    the model's own attention. Padding on either side, ``generate`` with the default cache, and training without
    attention dropout work as before; whatever cannot be honoured raises UnsupportedCallError when it is asked for.

    What a pattern learns (selections, gates) becomes a submodule of each layer's attention module: it is trained, moved
    and saved with the model, and is the handle's as well, ``handle.learned``. Its numbers are float32, or wider where
    the model's are; they begin at random, by torch's generator. With ``random`` they are frozen controls, of a seed
    that is different in each layer.

    With a ``group`` of torch.distributed (``dist.group.WORLD`` for all processes) the tokens of a sequence are divided
    among its processes (:func:`~patternc.runtime.distributed.context_parallel.context_parallel`): all attach alike, and
    call together, each with its own tokens and their ``position_ids``, as ``pc.places_here`` gives them, ``zigzag`` as
    well. Every head of every layer then runs a pattern
    that learns nothing; there is no padding, and no cache.

    ``engine`` as in :func:`~patternc.runtime.compile.compile`. The model is changed in place: a name in its config, an
    attribute on each attention module, no weight. Before returning, two tokens are run to see that every layer is
    reached. Raises AttachError for a model that cannot be attached, PlanError for a plan that does not fit it, and as
    ``compile`` for an engine or a seed that is none.
    """
    check_model(model)
    subject: object = pattern
    if not isinstance(subject, Pattern | Plan):
        kind = type(subject).__name__
        raise AttachError(f'a {kind} cannot be attached: give a pattern, pc.load("FILE")["NAME"], or a plan')
    layers = discover(model)
    shapes = [Shape(layer.call.query_heads, layer.causal) for layer in layers]
    shares = share_plan(pattern, shapes) if isinstance(pattern, Plan) else share_all(pattern, shapes)
    _check_keys(layers, shares)
    entrances = find_entrances(model, [layer for layer, mine in zip(layers, shares, strict=True) if learns(mine)])
    seed_of(random)
    if random is not None and not entrances:
        raise AttachError(f"random={random}, but {pattern.name!r} learns nothing; leave it out")
    if group is not None:
        _check_divided(layers, shares)
    elif zigzag:
        raise AttachError("zigzag=True, which divides tokens among processes, without a group; pass group= as well")
    own = str(model.config._attn_implementation)  # type: ignore[union-attr]
    watching = Watching()
    bindings = bindings_of(layers, shares, entrances, own, engine, watching, group, zigzag=zigzag)
    learned = learned_of(layers, shares, entrances, engine, random)
    mixed = any(_leaves_heads(layer, share) for layer, share in zip(layers, shares, strict=True))
    handle = Handle(model, pattern, layers, bindings, watching, random)
    name = implementation_name(own, mixed=mixed)
    try:
        handle._bind(name, learned)
        handle.verify()
    except BaseException:
        handle.detach()
        raise
    return handle


def _check_keys(layers: tuple[Layer, ...], shares: tuple[tuple[Share, ...], ...]) -> None:
    for layer, mine in zip(layers, shares, strict=True):
        keys, values = layer.call.head_dim, layer.call.value_dim
        if mine and keys != values:
            raise AttachError(
                f"layer {layer.index} ({layer.name}) has keys of width {keys} and values of width {values}, and engines"
                " take them of one width; leave it dense with a plan"
            )
        if mine and getattr(layer.call.module, "compressor", None) is not None:  # DeepSeek V4
            raise AttachError(
                f"layer {layer.index} ({layer.name}) adds summaries of its own to its keys, with no place in the"
                " sequence that a pattern could name; leave it dense with a plan"
            )


def _check_divided(layers: tuple[Layer, ...], shares: tuple[tuple[Share, ...], ...]) -> None:
    for layer, mine in zip(layers, shares, strict=True):
        learned = learns(mine)
        if learned or _leaves_heads(layer, mine):
            name = mine[0].pattern.name if learned else ""
            what = f"pattern {name!r} learns" if learned else "some heads run the model's own attention"
            raise AttachError(
                f"layer {layer.index} ({layer.name}): {what}, which needs all tokens in one process; with a group, give"
                " every head a pattern that learns nothing (`dense` is one)"
            )


def _leaves_heads(layer: Layer, shares: tuple[Share, ...]) -> bool:
    covered = sum(layer.call.query_heads if share.heads is None else len(share.heads) for share in shares)
    return covered < layer.call.query_heads
