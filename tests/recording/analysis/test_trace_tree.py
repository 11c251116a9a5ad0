"""The tree of a trace has the call, its parents and its children, cut to a readable size."""

from __future__ import annotations

from otel_genai.recording.analysis.trace_tree import SHOWN_SPANS, SpanNode, SpanRecord, trace_tree


def span(span_id: int, parent_id: int | None, name: str = "span", *, trace_id: int = 1) -> SpanRecord:
    return SpanRecord(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        kind="client",
        began_ns=span_id * 1_000_000,
        ended_ns=span_id * 1_000_000 + 500_000,
    )


def names(node: SpanNode | None) -> object:
    return None if node is None else [node.span.name, *map(names, node.children)]


def test_the_tree_has_the_call_its_parents_and_its_children() -> None:
    spans = [
        span(4, 3, "POST"),
        span(3, 1, "chat"),
        span(5, 1, "embeddings"),
        span(1, None, "answer"),
        span(6, None, "elsewhere", trace_id=2),
    ]
    assert names(trace_tree(spans, trace_id=1, span_id=3)) == ["answer", ["chat", ["POST"]], ["embeddings"]]


def test_an_unknown_parent_is_left_out() -> None:
    assert names(trace_tree([span(3, 99, "chat")], trace_id=1, span_id=3)) == ["chat"]


def test_an_unknown_call_has_no_tree() -> None:
    assert trace_tree([span(3, None)], trace_id=1, span_id=4) is None


def test_a_large_trace_is_cut_down_to_the_call() -> None:
    around = [span(1, None, "root"), *(span(number, 1) for number in range(100, 200))]
    assert names(trace_tree([*around, span(2, 1, "chat"), span(3, 2, "POST")], trace_id=1, span_id=2)) == [
        "chat",
        ["POST"],
    ]


def test_a_large_call_is_cut_at_its_leaves() -> None:
    tree = trace_tree([span(1, None), *(span(number, 1) for number in range(2, 102))], trace_id=1, span_id=1)
    assert tree is not None
    assert (len(tree.children), tree.hidden) == (SHOWN_SPANS - 1, 100 - (SHOWN_SPANS - 1))


def test_a_circular_trace_ends() -> None:
    assert names(trace_tree([span(1, 2, "a"), span(2, 1, "b")], trace_id=1, span_id=1)) is not None
