"""Reads a chat completion request: from the bytes of its body to what the engine is asked. Pure functions.

What OpenAI refuses is refused in its words, as far as types, ranges and what is required go. Parameters that a
simulated model has no use for are checked and then forgotten; unknown ones pass, as clients of other servers send them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from otel_genai.simulator.engine import Sampling
from otel_genai.simulator.errors import ApiError

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
MODES = ("none", "auto", "required")

_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_INTEGERS: dict[str, tuple[float, float]] = {
    "n": (1, 128),
    "max_tokens": (1, float("inf")),
    "max_completion_tokens": (1, float("inf")),
    "seed": (-(2**63), 2**63 - 1),
    "top_logprobs": (0, 20),
}
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_OBJECTS = ("stream_options", "response_format", "logit_bias", "metadata")
_STRINGS = ("user", "service_tier", "reasoning_effort")
_MOST_STOP_SEQUENCES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat completion request that has passed the checks."""

    model: str
    messages: tuple[dict[str, Any], ...]
    sampling: Sampling
    stream: bool
    include_usage: bool
    functions: dict[str, dict[str, Any]]
    """The functions on offer: name → JSON Schema of the parameters."""
    tool_choice: str
    """One of `MODES`, or empty where `function` says which function must be called."""
    function: str | None

    @property
    def last_role(self) -> str:
        """Whose turn ended the conversation so far."""
        return str(self.messages[-1]["role"])

    @property
    def last_user_text(self) -> str:
        """What the user said last; empty if there was no user."""
        return next((text_of(message) for message in reversed(self.messages) if message["role"] == "user"), "")

    @property
    def prompt(self) -> str:
        """The conversation as the one text that the model reads: the functions on offer, then a line for every turn."""
        offered = [json.dumps(self.functions)] if self.functions else []
        return "\n".join([*offered, *(f"{message['role']}: {text_of(message)}" for message in self.messages)])


def chat_request(body: bytes) -> ChatRequest:
    """The request in an HTTP body; `ApiError` if it is not one."""
    fields = _fields(body)
    if "model" not in fields:
        raise ApiError("you must provide a model parameter")
    if not isinstance(fields["model"], str):
        raise _wrong_type("model", "a string", fields["model"])
    messages = _messages(fields)
    for name, (lowest, highest) in (_NUMBERS | _INTEGERS).items():
        _check_number(fields, name, lowest, highest)
    for names, kind, described in (
        (_BOOLEANS, bool, "a boolean"),
        (_OBJECTS, dict, "an object"),
        (_STRINGS, str, "a string"),
    ):
        for name in names:
            if name in fields and not isinstance(fields[name], kind):
                raise _wrong_type(name, described, fields[name])
    if "max_tokens" in fields and "max_completion_tokens" in fields:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise ApiError(message, code="invalid_parameter_combination")
    stream = fields.get("stream", False)
    if "stream_options" in fields and not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(message, param="stream_options")
    functions = _functions(fields)
    tool_choice, function = _tool_choice(fields, functions)
    return ChatRequest(
        model=fields["model"],
        messages=messages,
        sampling=Sampling(
            n=fields.get("n", 1),
            max_tokens=fields.get("max_completion_tokens", fields.get("max_tokens")),
            stop=_stop(fields),
            seed=fields.get("seed"),
        ),
        stream=stream,
        include_usage=fields.get("stream_options", {}).get("include_usage") is True,
        functions=functions,
        tool_choice=tool_choice,
        function=function,
    )


def text_of(message: dict[str, Any]) -> str:
    """The text of one message, of its text parts, or of the functions that it calls."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if isinstance(part.get("text"), str))
    # Their ids differ from run to run, and must not make the same conversation another one.
    functions = [call.get("function") for call in message.get("tool_calls") or ()]
    return json.dumps(functions) if functions else ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError("We could not parse the JSON body of your request.") from error
    if not isinstance(fields, dict):
        raise ApiError("The JSON body of your request is not an object.")
    # OpenAI reads null as "not given", everywhere.
    return {name: value for name, value in fields.items() if value is not None}


def _messages(fields: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    _required(fields, "messages", "messages")
    messages = _array(fields, "messages", "messages")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise ApiError(message, param="messages", code="empty_array")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _wrong_type(at, "an object", message)
        role = _required(message, "role", f"{at}.role")
        if role not in ROLES:
            raise _unsupported(f"{at}.role", role, ROLES)
        _check_content(message, f"{at}.content")
        for call_index, call in enumerate(_array(message, "tool_calls", f"{at}.tool_calls")):
            if not isinstance(call, dict):
                raise _wrong_type(f"{at}.tool_calls[{call_index}]", "an object", call)
        if role == "tool":
            _required(message, "tool_call_id", f"{at}.tool_call_id")
    return tuple(messages)


def _check_content(message: dict[str, Any], at: str) -> None:
    content = message.get("content")
    if content is None:
        # Only a model's own turn may have nothing to say, and then because it called something.
        if message["role"] != "assistant":
            raise _wrong_type(at, "one of a string or array of objects", content)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if not isinstance(part, dict):
                raise _wrong_type(f"{at}[{index}]", "an object", part)
            _required(part, "type", f"{at}[{index}].type")
    elif not isinstance(content, str):
        raise _wrong_type(at, "one of a string or array of objects", content)


def _check_number(fields: dict[str, Any], name: str, lowest: float, highest: float) -> None:
    if name not in fields:
        return
    value = fields[name]
    word = "integer" if name in _INTEGERS else "decimal"
    # bool is a subclass of int in Python, and a different thing in JSON.
    if isinstance(value, bool) or not isinstance(value, int if word == "integer" else (int, float)):
        raise _wrong_type(name, "an integer" if word == "integer" else "a decimal", value)
    # Asked this way round so that NaN, which compares false with everything, is refused.
    if not value >= lowest:
        message = (
            f"Invalid '{name}': {word} below minimum value. Expected a value >= {lowest:g}, but got {value} instead."
        )
        raise ApiError(message, param=name, code=f"{word}_below_min_value")
    if value > highest:
        message = (
            f"Invalid '{name}': {word} above maximum value. Expected a value <= {highest:g}, but got {value} instead."
        )
        raise ApiError(message, param=name, code=f"{word}_above_max_value")


def _stop(fields: dict[str, Any]) -> tuple[str, ...]:
    stop = fields.get("stop", [])
    sequences = [stop] if isinstance(stop, str) else stop
    if not isinstance(sequences, list) or not all(isinstance(sequence, str) for sequence in sequences):
        raise _wrong_type("stop", "one of a string or array of strings", stop)
    if len(sequences) > _MOST_STOP_SEQUENCES:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOP_SEQUENCES}, "
            f"but got an array with length {len(sequences)} instead."
        )
        raise ApiError(message, param="stop", code="array_above_max_length")
    return tuple(sequence for sequence in sequences if sequence)


def _functions(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    functions = {}
    for index, tool in enumerate(_array(fields, "tools", "tools")):
        at = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise _wrong_type(at, "an object", tool)
        if _required(tool, "type", f"{at}.type") != "function":
            continue
        function = _required(tool, "function", f"{at}.function")
        if not isinstance(function, dict):
            raise _wrong_type(f"{at}.function", "an object", function)
        name = _required(function, "name", f"{at}.function.name")
        parameters = function.get("parameters")
        if not isinstance(name, str):
            raise _wrong_type(f"{at}.function.name", "a string", name)
        if not isinstance(parameters, dict | None):
            raise _wrong_type(f"{at}.function.parameters", "an object", parameters)
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
            raise _unsupported("tool_choice", choice, MODES)
        return choice, None
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict):
        raise _wrong_type("tool_choice", "one of a string or an object that names a function", choice)
    name = _required(function, "name", "tool_choice.function.name")
    if name not in functions:
        raise ApiError("Invalid value for 'tool_choice': no such function in 'tools'.", param="tool_choice")
    return "", name


def _array(fields: dict[str, Any], name: str, at: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list | None):
        raise _wrong_type(at, "an array of objects", value)
    return value or []


def _required(fields: dict[str, Any], name: str, at: str) -> Any:
    if fields.get(name) is None:
        raise ApiError(f"Missing required parameter: '{at}'.", param=at, code="missing_required_parameter")
    return fields[name]


def _unsupported(at: str, value: object, supported: tuple[str, ...]) -> ApiError:
    *most, last = (f"'{each}'" for each in supported)
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(most)}, and {last}."
    return ApiError(message, param=at, code="invalid_value")


def _wrong_type(at: str, expected: str, value: object) -> ApiError:
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
    }
    message = f"Invalid type for '{at}': expected {expected}, but got {kinds.get(type(value), 'null')} instead."
    return ApiError(message, param=at, code="invalid_type")
