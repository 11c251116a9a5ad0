"""The trace around one call, as a tree of plain records. The caller makes the records; this module knows no OpenTelemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_SPANS: Final = 30
"""A larger trace is cut down to the call itself, and the call to this many spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One finished span, without content."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    kind: str
    began_ns: int
    ended_ns: int
    failed: bool = False
    notes: tuple[tuple[str, str | float], ...] = ()
    """(label, value); a float is in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanNode:
    """A span and its children, in order of time."""

    span: SpanRecord
    children: tuple[SpanNode, ...] = ()
    hidden: int = 0
    """Further children that are not shown."""


def trace_tree(spans: Iterable[SpanRecord], *, trace_id: int, span_id: int) -> SpanNode | None:
    """The tree around the call `span_id`, from the outermost known span; `None` if the call is unknown."""
    known = {span.span_id: span for span in spans if span.trace_id == trace_id}
    if span_id not in known:
        return None
    children_of: dict[int | None, list[SpanRecord]] = {}
    for span in sorted(known.values(), key=lambda span: span.began_ns):
        children_of.setdefault(span.parent_id, []).append(span)
    outermost = known[span_id]
    seen = {span_id}
    # A parent may still be open, or in another process. A malformed trace may go round.
    while outermost.parent_id in known and outermost.parent_id not in seen:
        outermost = known[outermost.parent_id]
        seen.add(outermost.span_id)
    chosen = _order(outermost, children_of)
    if len(chosen) > SHOWN_SPANS:
        outermost = known[span_id]
        chosen = _order(outermost, children_of)
    return _node(outermost, children_of, {span.span_id for span in chosen[:SHOWN_SPANS]})


def _order(root: SpanRecord, children_of: dict[int | None, list[SpanRecord]]) -> list[SpanRecord]:
    """The spans of a tree by depth, so that a cut takes the deepest."""
    ordered = [root]
    seen = {root.span_id}
    for span in ordered:
        further = [child for child in children_of.get(span.span_id, []) if child.span_id not in seen]
        seen.update(child.span_id for child in further)
        ordered.extend(further)
    return ordered


def _node(span: SpanRecord, children_of: dict[int | None, list[SpanRecord]], chosen: set[int]) -> SpanNode:
    chosen = chosen - {span.span_id}
    children = children_of.get(span.span_id, [])
    shown = [child for child in children if child.span_id in chosen]
    return SpanNode(
        span=span,
        children=tuple(_node(child, children_of, chosen) for child in shown),
        hidden=len(children) - len(shown),
    )
