"""What all of the client's calls have in common: arguments that may be sentinels, raw responses, errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_genai.operation import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_genai.endpoint.endpoint import Arguments


class Parameter(NamedTuple):
    """What a parameter of the client's is to us."""

    field: str
    """Of `Request`."""
    read: Callable[[Any], Any]
    """As the client takes it → as we keep it; `None` if it is nothing that we know."""
    wins: bool = False
    """Over another parameter for the same field, should both be given."""


Parameters = dict[str, Parameter]
"""By the client's names."""

# The client's formats → the conventions' modality.
_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}
_KEY: Final = re.compile(r"\bsk-[\w*.\-]+")
_INT64: Final = 2**63
_NOTHING: Final[Mapping[str, Any]] = {}
_WORD: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

# The client marks what was not given by objects of its own (`NOT_GIVEN`, `omit`), and lets any value through to the server.
# Asking for the type that the conventions want drops both.


def text(value: Any) -> str | None:
    """The value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """The value if it is a whole number, and of a size that can be exported."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64 else None


def number(value: Any) -> float | None:
    """The value if it is a number."""
    whole = integer(value)
    return float(whole) if whole is not None else value if isinstance(value, float) else None


def listed(value: Any) -> Sequence[Any]:
    """The value if it is a list. Iterators are left alone: whoever reads one takes it from the request."""
    return value if isinstance(value, list | tuple) else ()


def texts(value: Any) -> tuple[str, ...] | None:
    """One string or several, as the client takes stop sequences; `None` if it is neither."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else None


def field(record: Any, name: str) -> Any:
    """A field of what may be a dict or one of the client's models; `None` if there is none."""
    return record.get(name) if isinstance(record, dict) else getattr(record, name, None)


def told(record: Any) -> Mapping[str, Any]:
    """All fields of what may be a dict or one of the client's models, at once: models take long to say of a name that they lack it."""
    if record is None:
        return _NOTHING
    if isinstance(record, dict):
        return record
    fields: Mapping[str, Any] = getattr(record, "__dict__", _NOTHING)
    beyond_the_schema = getattr(record, "__pydantic_extra__", None)
    return {**fields, **beyond_the_schema} if beyond_the_schema else fields


def body(arguments: Arguments) -> Mapping[str, Any]:
    """The fields of the request as the server gets them: `extra_body` wins over arguments."""
    extra = arguments.kwargs.get("extra_body")
    return {**arguments.kwargs, **extra} if isinstance(extra, dict) else arguments.kwargs


SAMPLING: Final[Parameters] = {
    "model": Parameter("model", text),
    "stream": Parameter("stream", bool),
    "temperature": Parameter("temperature", number),
    "top_p": Parameter("top_p", number),
    "top_k": Parameter("top_k", integer),
}
"""What every interface that generates text has, under the same names."""


def parameters(fields: Mapping[str, Any], table: Parameters) -> dict[str, Any]:
    """Our fields of those parameters that were given in a form that can be read."""
    read: dict[str, Any] = {}
    for name, given in fields.items():
        parameter = table.get(name)
        if parameter is not None:
            value = parameter.read(given)
            if value is not None and (parameter.wins or parameter.field not in read):
                read[parameter.field] = value
    return read


def output_type(asked: Any) -> str | None:
    """The modality of a format that was asked for: a record with a type, or the class that `parse` makes a JSON schema of."""
    return "json" if isinstance(asked, type) else _OUTPUT_TYPES.get(text(field(asked, "type")) or "")


def unparsed(result: Any) -> Any | None:
    """The HTTP response of `with_raw_response` and `with_streaming_response`."""
    # Not `getattr`: a parsed answer is a data model, which takes long to say that it has none.
    return vars(result).get("http_response") if hasattr(result, "__dict__") else None


def failure(error: BaseException, content: bool) -> Failure:
    """The client's error: its class, the status and code that the server gave, and its message if content is wanted."""
    details = [integer(getattr(error, "status_code", None)), _code(error)]
    return Failure.of(
        error,
        *(detail for detail in details if detail is not None),
        message=_without_keys(error) if content else None,
    )


def _without_keys(error: BaseException) -> str:
    # Servers repeat a wrong key in what they say about it, whole or in part.
    message = _KEY.sub("[key]", str(error))
    headers = getattr(getattr(error, "request", None), "headers", None) or {}
    for name in ("authorization", "api-key"):
        key = headers.get(name, "").removeprefix("Bearer ")
        if key:
            message = message.replace(key, "[key]")
    return message


def _code(error: BaseException) -> str | None:
    # A server chooses this string freely; what does not look like a code could be anything, content included.
    for name in ("code", "type"):
        value = getattr(error, name, None)
        if isinstance(value, str) and _WORD.fullmatch(value):
            return value
    return None
