"""Reads and checks the fields of a request's JSON body, for all endpoints. Errors have OpenAI's wording. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_genai.simulator.api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_STOP_SEQUENCES = 4

Range = tuple[float, float]
NUMBERS: Mapping[str, Range] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}


def check_fields(
    fields: Mapping[str, Any],
    *,
    numbers: Mapping[str, Range] = NUMBERS,
    integers: Mapping[str, Range],
    booleans: tuple[str, ...] = (),
    objects: tuple[str, ...] = (),
    strings: tuple[str, ...] = (),
) -> None:
    """Raise `ApiError` for a field of a wrong type, or a number out of its range. Fields that are not named pass."""
    for name, limits in numbers.items():
        _check_number(fields, name, limits, whole=False)
    for name, limits in integers.items():
        _check_number(fields, name, limits, whole=True)
    for names, kind, expected in (
        (booleans, bool, "a boolean"),
        (objects, dict, "an object"),
        (strings, str, "a string"),
    ):
        for name in names:
            if name in fields and not isinstance(fields[name], kind):
                raise wrong_type(name, expected, fields[name])


def model_of(fields: Mapping[str, Any]) -> str:
    """The name of the model; raises `ApiError` if there is none."""
    if "model" not in fields:
        raise ApiError("you must provide a model parameter")
    model = fields["model"]
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    return model


def fields_of(body: bytes, *, null: bool = False) -> dict[str, Any]:
    """The fields of a JSON object; fields that are null only if `null`. Raises `ApiError` for any other body."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError("We could not parse the JSON body of your request.") from error
    if not isinstance(fields, dict):
        raise ApiError("The JSON body of your request is not an object.")
    # OpenAI reads null as "not given" everywhere.
    return {name: value for name, value in fields.items() if null or value is not None}


def _check_number(fields: Mapping[str, Any], name: str, limits: Range, *, whole: bool) -> None:
    if name not in fields:
        return
    value = fields[name]
    lowest, highest = limits
    word = "integer" if whole else "decimal"
    # bool is a subclass of int in Python, and another type in JSON.
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise wrong_type(name, "an integer" if whole else "a decimal", value)
    # In this form, NaN is refused, too: it compares false with everything.
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


def stop_sequences(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The stop sequences; raises `ApiError` for more than four."""
    stop = fields.get("stop", [])
    sequences = [stop] if isinstance(stop, str) else stop
    if not isinstance(sequences, list) or not all(isinstance(sequence, str) for sequence in sequences):
        raise wrong_type("stop", "one of a string or array of strings", stop)
    if len(sequences) > _MAX_STOP_SEQUENCES:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MAX_STOP_SEQUENCES}, "
            f"but got an array with length {len(sequences)} instead."
        )
        raise ApiError(message, param="stop", code="array_above_max_length")
    return tuple(sequence for sequence in sequences if sequence)


def streaming(fields: Mapping[str, Any]) -> tuple[bool, bool]:
    """(stream, stream with usage in its last chunk)."""
    stream = fields.get("stream", False)
    if "stream_options" in fields and not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(message, param="stream_options")
    return stream, fields.get("stream_options", {}).get("include_usage") is True


def texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """One text or several. A list of token ids is a text, too: each id is a word of it."""
    value = required(fields, name, name)
    several = value if isinstance(value, list) and not _are_ids(value) else [value]
    if not several:
        raise ApiError(f"Invalid '{name}': input cannot be an empty array.", param=name, code="empty_array")
    for each in several:
        if not isinstance(each, str) and not _are_ids(each):
            raise wrong_type(name, "one of a string, array of strings, or array of token ids", each)
    return tuple(each if isinstance(each, str) else " ".join(map(str, each)) for each in several)


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def array(fields: Mapping[str, Any], name: str, at: str) -> list[Any]:
    """The array in a field; empty if the field is missing. `at` is the field's path in errors."""
    value = fields.get(name)
    if not isinstance(value, list | None):
        raise wrong_type(at, "an array of objects", value)
    return value or []


def required(fields: Mapping[str, Any], name: str, at: str) -> Any:
    """The value of a required field. `at` is its path in errors."""
    if fields.get(name) is None:
        raise ApiError(f"Missing required parameter: '{at}'.", param=at, code="missing_required_parameter")
    return fields[name]


def unsupported(at: str, value: object, supported: tuple[str, ...]) -> ApiError:
    """The error for a value that is not supported."""
    *most, last = (f"'{each}'" for each in supported)
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(most)}, and {last}."
    return ApiError(message, param=at, code="invalid_value")


def wrong_type(at: str, expected: str, value: object) -> ApiError:
    """The error for a value of another type than expected."""
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
