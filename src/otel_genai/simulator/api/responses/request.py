"""Reads and checks a request to the responses endpoint, as a chat request. Pure functions.

Responses are not stored, so `previous_response_id` is always an unknown id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_genai.simulator.api.chat.request import MODES, ROLES, ChatRequest
from otel_genai.simulator.api.errors import ApiError
from otel_genai.simulator.api.validation import (
    Range,
    array,
    check_fields,
    fields_of,
    model_of,
    required,
    unsupported,
    wrong_type,
)
from otel_genai.simulator.engine.inference import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTEGERS: dict[str, Range] = {"max_output_tokens": (1, float("inf")), "top_logprobs": (0, 20)}
_BOOLEANS = ("stream", "parallel_tool_calls", "store", "background")
_OBJECTS = ("text", "reasoning", "metadata")
_STRINGS = ("instructions", "user", "service_tier", "truncation", "previous_response_id")


def responses_request(body: bytes) -> ChatRequest:
    """The request in an HTTP body; raises `ApiError`."""
    fields = fields_of(body)
    model = model_of(fields)
    check_fields(fields, integers=_INTEGERS, booleans=_BOOLEANS, objects=_OBJECTS, strings=_STRINGS)
    if "previous_response_id" in fields:
        message = f"Previous response with id '{fields['previous_response_id']}' not found."
        raise ApiError(message, param="previous_response_id", code="previous_response_not_found")
    instructions = [{"role": "system", "content": fields["instructions"]}] if "instructions" in fields else []
    functions = _functions(fields)
    tool_choice, function = _tool_choice(fields, functions)
    return ChatRequest(
        model=model,
        messages=(*instructions, *_messages(fields)),
        sampling=Sampling(
            max_tokens=fields.get("max_output_tokens"),
            temperature=fields.get("temperature"),
            top_p=fields.get("top_p"),
        ),
        stream=fields.get("stream", False),
        include_usage=True,
        functions=functions,
        tool_choice=tool_choice,
        function=function,
    )


def _messages(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = required(fields, "input", "input")
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if not isinstance(items, list):
        raise wrong_type("input", "one of a string or array of items", items)
    if not items:
        raise ApiError("Invalid 'input': empty array.", param="input", code="empty_array")
    return [_message(item, f"input[{index}]") for index, item in enumerate(items)]


def _message(item: Any, at: str) -> dict[str, Any]:
    """An item of the input as a chat message."""
    if not isinstance(item, dict):
        raise wrong_type(at, "an object", item)
    match item.get("type", "message"):
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            return {"role": "assistant", "tool_calls": [{"function": function}]}
        case "function_call_output":
            return {"role": "tool", "content": _content(item, "output", at)}
        case "message":
            role = required(item, "role", f"{at}.role")
            if role not in ROLES:
                raise unsupported(f"{at}.role", role, ROLES)
            return {"role": role, "content": _content(item, "content", at)}
        case _:
            # Reasoning and other items have no effect on a simulated model.
            return {"role": "assistant", "content": ""}


def _content(item: dict[str, Any], name: str, at: str) -> Any:
    content = required(item, name, f"{at}.{name}")
    if isinstance(content, str) or (isinstance(content, list) and all(isinstance(part, dict) for part in content)):
        return content
    raise wrong_type(f"{at}.{name}", "one of a string or array of objects", content)


def _functions(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    functions = {}
    for index, tool in enumerate(array(fields, "tools", "tools")):
        at = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(at, "an object", tool)
        if required(tool, "type", f"{at}.type") != "function":
            continue
        name, parameters = required(tool, "name", f"{at}.name"), tool.get("parameters")
        if not isinstance(name, str):
            raise wrong_type(f"{at}.name", "a string", name)
        if not isinstance(parameters, dict | None):
            raise wrong_type(f"{at}.parameters", "an object", parameters)
        functions[name] = parameters or {}
    return functions


def _tool_choice(fields: Mapping[str, Any], functions: Mapping[str, Any]) -> tuple[str, str | None]:
    choice = fields.get("tool_choice", "auto")
    if isinstance(choice, str):
        if choice not in MODES:
            raise unsupported("tool_choice", choice, MODES)
        return choice, None
    name = choice.get("name") if isinstance(choice, dict) else None
    if name not in functions:
        raise ApiError("Tool choice not found in 'tools' parameter.", param="tool_choice")
    return "", name
