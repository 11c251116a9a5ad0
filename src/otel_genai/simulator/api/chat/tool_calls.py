"""Decides whether the response is a function call, and generates the call's arguments from the function's schema."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_genai.simulator.api.errors import ApiError

if TYPE_CHECKING:
    from otel_genai.simulator.api.chat.request import ChatRequest

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function call, with its arguments as JSON."""

    name: str
    arguments: str


def function_call(request: ChatRequest) -> FunctionCall | None:
    """The function call that is the response; `None` if the response is text.

    With `tool_choice` "auto", the model calls the first function after a user's message, and answers in text after a tool's.
    Raises `ApiError` if the function's schema is invalid.
    """
    if request.function is not None:
        name = request.function
    elif request.functions and (
        request.tool_choice == "required" or (request.tool_choice == "auto" and request.last_role == "user")
    ):
        name = next(iter(request.functions))
    else:
        return None
    schema = request.functions[name]
    try:
        arguments = _SchemaValues(schema, _topic(request.last_user_text)).object(schema, frozenset())
    except (AttributeError, KeyError, TypeError) as error:
        # The schema is the caller's, and its values are not of the types that JSON Schema requires.
        message = f"Invalid schema for function '{name}'."
        raise ApiError(message, param="tools", code="invalid_function_parameters") from error
    return FunctionCall(name, json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))


def _topic(text: str) -> str:
    """The last capitalised word, or else the last word: `Paris` in "What is the weather in Paris today?"."""
    words = _WORD.findall(text)
    return next((word for word in reversed(words) if word[0].isupper()), words[-1] if words else "")


@dataclass(frozen=True, slots=True)
class _SchemaValues:
    """Values that are valid for the parts of one schema.

    `inside` holds the references on the way to a part: a schema may contain itself.
    """

    root: dict[str, Any]
    topic: str

    def object(self, schema: dict[str, Any], inside: frozenset[str]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        return {name: self.value(properties.get(name, {}), inside) for name in schema.get("required", ())}

    def value(self, schema: Any, inside: frozenset[str]) -> Any:
        if not isinstance(schema, dict):
            return self.topic
        if "$ref" in schema:
            reference = str(schema["$ref"])
            return None if reference in inside else self.value(self._resolved(reference), inside | {reference})
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for combination in ("anyOf", "oneOf", "allOf"):
            if schema.get(combination):
                return self.value(schema[combination][0], inside)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        match kind[0] if isinstance(kind, list) else kind:
            case "number" | "integer":
                return 1
            case "boolean":
                return True
            case "array":
                return [self.value(schema.get("items", {}), inside)]
            case "object":
                return self.object(schema, inside)
            case "null":
                return None
            case _:
                return self.topic

    def _resolved(self, reference: str) -> Any:
        """The part that a reference such as `#/$defs/City` names; an empty schema, which allows any value, if there is none."""
        found: Any = self.root
        for key in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(key, {}) if isinstance(found, dict) else {}
        return found
