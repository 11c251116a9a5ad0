"""Reading of arguments and results that all surfaces share: sentinels, models and dicts, raw responses, errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_genai.operation import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_genai.endpoint.arguments import Arguments


class Parameter(NamedTuple):
    """A parameter of the client's methods, and the field of `Request` that holds it."""

    field: str
    read: Callable[[Any], Any]
    """The client's value → the field's value; `None` for a value of any other type."""
    wins: bool = False
    """Whether it has precedence over another parameter for the same field."""


Parameters = dict[str, Parameter]
"""The client's name of a parameter → the parameter."""

# Type of a response format → `gen_ai.output.type`.
_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}
_API_KEY: Final = re.compile(r"\bsk-[\w*.\-]+")
_INT64: Final = 2**63
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_ERROR_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

# An omitted argument is a sentinel (`NOT_GIVEN`, `omit`: openai _types.py), and the client passes any value on to the server.
# A check for the type that the conventions want drops both.


def text(value: Any) -> str | None:
    """The value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """The value if it is a whole number of 64 bits, which is the most that OTLP carries."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64 else None


def number(value: Any) -> float | None:
    """The value if it is a number."""
    whole = integer(value)
    return float(whole) if whole is not None else value if isinstance(value, float) else None


def as_list(value: Any) -> Sequence[Any]:
    """The value if it is a list or tuple, else an empty one. An iterator is not read: the request would lack its items."""
    return value if isinstance(value, list | tuple) else ()


def texts(value: Any) -> tuple[str, ...] | None:
    """One string or a list of them, the two forms of stop sequences; `None` for any other value."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else None


def field(record: Any, name: str) -> Any:
    """A field of a dict or of one of the client's models; `None` if the field is missing."""
    return record.get(name) if isinstance(record, dict) else getattr(record, name, None)


def fields_of(record: Any) -> Mapping[str, Any]:
    """All fields of a dict or of one of the client's models.

    Quicker than `field` for each: a missing attribute of a model raises in Python code (pydantic 2 main.py, `__getattr__`).
    """
    if record is None:
        return _NO_FIELDS
    if isinstance(record, dict):
        return record
    fields: Mapping[str, Any] = getattr(record, "__dict__", _NO_FIELDS)
    extra_fields = getattr(record, "__pydantic_extra__", None)
    return {**fields, **extra_fields} if extra_fields else fields


def request_body(arguments: Arguments) -> Mapping[str, Any]:
    """The fields of the request's body: `extra_body` has precedence over arguments."""
    extra = arguments.kwargs.get("extra_body")
    return {**arguments.kwargs, **extra} if isinstance(extra, dict) else arguments.kwargs


SAMPLING: Final[Parameters] = {
    "model": Parameter("model", text),
    "stream": Parameter("stream", bool),
    "temperature": Parameter("temperature", number),
    "top_p": Parameter("top_p", number),
    "top_k": Parameter("top_k", integer),
}
"""The parameters that all text endpoints share."""


def parameters(fields: Mapping[str, Any], table: Parameters) -> dict[str, Any]:
    """Field of `Request` → value, for the parameters in `fields` that have a valid value."""
    values: dict[str, Any] = {}
    for name, argument in fields.items():
        parameter = table.get(name)
        if parameter is not None:
            value = parameter.read(argument)
            if value is not None and (parameter.wins or parameter.field not in values):
                values[parameter.field] = value
    return values


def output_type(response_format: Any) -> str | None:
    """`gen_ai.output.type` of a response format: a record with a type, or the class that `parse` makes a JSON schema of."""
    if isinstance(response_format, type):
        return "json"
    return _OUTPUT_TYPES.get(text(field(response_format, "type")) or "")


def unparsed(result: Any) -> Any | None:
    """The HTTP response in a result of `with_raw_response` or `with_streaming_response`; `None` for a parsed result."""
    # Not `getattr`: a parsed result is a model, whose missing attributes are slow.
    return vars(result).get("http_response") if hasattr(result, "__dict__") else None


def failure(error: BaseException, content: bool) -> Failure:
    """An exception of the client: its class, HTTP status and error code, and with `content` its message, API keys removed."""
    details = [integer(getattr(error, "status_code", None)), _code(error)]
    return Failure.of(
        error,
        *(detail for detail in details if detail is not None),
        message=_without_keys(error) if content else None,
    )


def _without_keys(error: BaseException) -> str:
    # The message about a wrong key repeats the key, whole or in part.
    message = _API_KEY.sub("[key]", str(error))
    headers = getattr(getattr(error, "request", None), "headers", None) or {}
    for name in ("authorization", "api-key"):
        key = headers.get(name, "").removeprefix("Bearer ")
        if key:
            message = message.replace(key, "[key]")
    return message


def _code(error: BaseException) -> str | None:
    # The server chooses this string. One that does not look like a code may be content.
    for name in ("code", "type"):
        value = getattr(error, name, None)
        if isinstance(value, str) and _ERROR_CODE.fullmatch(value):
            return value
    return None
