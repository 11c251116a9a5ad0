"""Reads and checks a chat completion request. Pure functions.

Types, ranges and required fields are checked as OpenAI does, with its wording. Parameters that a simulated model does not use are
checked and ignored. Unknown parameters pass, since clients of other servers send them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from otel_genai.simulator.api.errors import ApiError
from otel_genai.simulator.api.validation import (
    Range,
    array,
    check_fields,
    fields_of,
    model_of,
    required,
    stop_sequences,
    streaming,
    unsupported,
    wrong_type,
)
from otel_genai.simulator.engine.inference import Sampling

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
MODES = ("none", "auto", "required")

_INTEGERS: dict[str, Range] = {
    "n": (1, 128),
    "max_tokens": (1, float("inf")),
    "max_completion_tokens": (1, float("inf")),
    "seed": (-(2**63), 2**63 - 1),
    "top_logprobs": (0, 20),
}
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_OBJECTS = ("stream_options", "response_format", "logit_bias", "metadata")
_STRINGS = ("user", "service_tier", "reasoning_effort")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A valid chat completion request."""

    model: str
    messages: tuple[dict[str, Any], ...]
    sampling: Sampling
    stream: bool
    include_usage: bool
    functions: dict[str, dict[str, Any]]
    """Function name → JSON Schema of its parameters."""
    tool_choice: str
    """One of `MODES`; empty if `function` is set."""
    function: str | None
    """The function that must be called."""

    @property
    def last_role(self) -> str:
        """The role of the last message."""
        return str(self.messages[-1]["role"])

    @property
    def last_user_text(self) -> str:
        """The text of the last user message; empty if there is none."""
        return next((text_of(message) for message in reversed(self.messages) if message["role"] == "user"), "")

    @property
    def prompt(self) -> str:
        """The text that the model reads: the functions, then a line for every message."""
        functions = [json.dumps(self.functions)] if self.functions else []
        return "\n".join([*functions, *(f"{message['role']}: {text_of(message)}" for message in self.messages)])


def chat_request(body: bytes) -> ChatRequest:
    """The request in an HTTP body; raises `ApiError`."""
    fields = fields_of(body)
    model = model_of(fields)
    messages = _messages(fields)
    check_fields(fields, integers=_INTEGERS, booleans=_BOOLEANS, objects=_OBJECTS, strings=_STRINGS)
    if "max_tokens" in fields and "max_completion_tokens" in fields:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise ApiError(message, code="invalid_parameter_combination")
    stream, include_usage = streaming(fields)
    functions = _functions(fields)
    tool_choice, function = _tool_choice(fields, functions)
    return ChatRequest(
        model=model,
        messages=messages,
        sampling=Sampling(
            n=fields.get("n", 1),
            max_tokens=fields.get("max_completion_tokens", fields.get("max_tokens")),
            stop=stop_sequences(fields),
            seed=fields.get("seed"),
            temperature=fields.get("temperature"),
            top_p=fields.get("top_p"),
        ),
        stream=stream,
        include_usage=include_usage,
        functions=functions,
        tool_choice=tool_choice,
        function=function,
    )


def text_of(message: dict[str, Any]) -> str:
    """The text of a message: its content, its text parts, or the JSON of its function calls."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if isinstance(part.get("text"), str))
    # Without the calls' ids: they differ from run to run, and the answer depends on the prompt.
    functions = [call.get("function") for call in message.get("tool_calls") or ()]
    return json.dumps(functions) if functions else ""


def _messages(fields: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    required(fields, "messages", "messages")
    messages = array(fields, "messages", "messages")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise ApiError(message, param="messages", code="empty_array")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong_type(at, "an object", message)
        role = required(message, "role", f"{at}.role")
        if role not in ROLES:
            raise unsupported(f"{at}.role", role, ROLES)
        _check_content(message, f"{at}.content")
        for call_index, call in enumerate(array(message, "tool_calls", f"{at}.tool_calls")):
            if not isinstance(call, dict):
                raise wrong_type(f"{at}.tool_calls[{call_index}]", "an object", call)
        if role == "tool":
            required(message, "tool_call_id", f"{at}.tool_call_id")
    return tuple(messages)


def _check_content(message: dict[str, Any], at: str) -> None:
    content = message.get("content")
    if content is None:
        # Only an assistant's message may have no content: it then calls a function.
        if message["role"] != "assistant":
            raise wrong_type(at, "one of a string or array of objects", content)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if not isinstance(part, dict):
                raise wrong_type(f"{at}[{index}]", "an object", part)
            required(part, "type", f"{at}[{index}].type")
    elif not isinstance(content, str):
        raise wrong_type(at, "one of a string or array of objects", content)


def _functions(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    functions = {}
    for index, tool in enumerate(array(fields, "tools", "tools")):
        at = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(at, "an object", tool)
        if required(tool, "type", f"{at}.type") != "function":
            continue
        function = required(tool, "function", f"{at}.function")
        if not isinstance(function, dict):
            raise wrong_type(f"{at}.function", "an object", function)
        name = required(function, "name", f"{at}.function.name")
        parameters = function.get("parameters")
        if not isinstance(name, str):
            raise wrong_type(f"{at}.function.name", "a string", name)
        if not isinstance(parameters, dict | None):
            raise wrong_type(f"{at}.function.parameters", "an object", parameters)
        functions[name] = parameters or {}
    return functions


def _tool_choice(fields: dict[str, Any], functions: dict[str, Any]) -> tuple[str, str | None]:
    choice = fields.get("tool_choice")
    if choice is None:
        return "auto", None
    if "tools" not in fields:
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise ApiError(message, param="tool_choice")
    if isinstance(choice, str):
        if choice not in MODES:
            raise unsupported("tool_choice", choice, MODES)
        return choice, None
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict):
        raise wrong_type("tool_choice", "one of a string or an object that names a function", choice)
    name = required(function, "name", "tool_choice.function.name")
    if name not in functions:
        raise ApiError("Invalid value for 'tool_choice': no such function in 'tools'.", param="tool_choice")
    return "", name
