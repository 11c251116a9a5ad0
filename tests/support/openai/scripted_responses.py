"""The Responses API: items, responses and events for the scripted server, and their expected attributes."""

from __future__ import annotations

from typing import Any

# ── the server's answers ───────────────────────────────────────────────────────────────────────────────────────────────

USAGE = {
    "input_tokens": 9,
    "output_tokens": 3,
    "total_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 1},
}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "A greeting."}]}
HELLO = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city": "Oslo"}',
    "status": "completed",
}
COMPACTION = {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAA"}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}


def response(*items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A response as OpenAI sends it."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o-2024-08-06",
        "status": "completed",
        "service_tier": "default",
        "output": list(items or (HELLO,)),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **changes,
    }


def unfinished(status: str = "in_progress") -> dict[str, Any]:
    """A response that is not finished."""
    return response(status=status, output=[], usage=None)


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """One event of a stream."""
    return {"type": f"response.{kind}", "sequence_number": 0, **fields}


def at(position: int, part: int = 0, **fields: Any) -> dict[str, Any]:
    """The fields that place a piece in the output."""
    return {"output_index": position, "content_index": part, "item_id": f"item_{position}", "logprobs": [], **fields}


OPENING = [
    event("created", response=unfinished()),
    event("in_progress", response=unfinished()),
    event("output_item.added", output_index=0, item={**HELLO, "status": "in_progress", "content": []}),
    event("content_part.added", **at(0), part={"type": "output_text", "text": "", "annotations": []}),
]
STREAM = [
    *OPENING,
    event("output_text.delta", **at(0, delta="Hel")),
    event("output_text.delta", **at(0, delta="lo!")),
    event("output_text.done", **at(0, text="Hello!")),
    event("content_part.done", **at(0), part=HELLO["content"][0]),
    event("output_item.done", output_index=0, item=HELLO),
    event("completed", response=response()),
]

# ── expected telemetry ─────────────────────────────────────────────────────────────────────────────────────────────────

BASIC = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "127.0.0.1",
    "openai.api.type": "responses",
}
NAMED = {
    "gen_ai.response.id": "resp_1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "openai.response.service_tier": "default",
}
ANSWERED = {
    **BASIC,
    **NAMED,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_write.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 1,
}
STREAMED = ANSWERED | {"gen_ai.request.stream": True}
CUT_SHORT = BASIC | NAMED | {"gen_ai.request.stream": True, "gen_ai.response.finish_reasons": ("error",)}

SEARCHED = {
    "type": "server_tool_call",
    "id": "ws_1",
    "name": "web_search",
    "server_tool_call": {"type": "web_search", "action": {"type": "search", "query": "x"}},
}
"""The message part for `SEARCH`."""
