"""Loading: models, tokenizers, what they are made of on the hub, and the way to the device. It is most of a cold start.

What came from disk is what the process read from storage meanwhile, in all of its threads; the rest came out of the page cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.endpoint import Arguments, Endpoint, StreamerFold
from otel_genai.instrumentors.model_names import short_name
from otel_genai.instrumentors.transformers import decoding
from otel_genai.instrumentors.transformers.generate import generate_failure
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Request, Response, Side
from otel_genai.semconv import otel_genai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_genai.endpoint.endpoint import StreamerTee

_INPUT_AND_OUTPUT: Final = Path("/proc/self/io")
_FROM_STORAGE: Final = "read_bytes"

Facts = dict[str, str | float]


def weight_files(resolved: tuple[Iterable[str] | None, Any]) -> Mapping[str, Any]:
    """Of a model's files as the library found them: their size."""
    return {otel_genai.LOAD_FILE_BYTES: _size(map(Path, resolved[0] or ()))}


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read_from_storage() -> int | None:
    # Bytes, of the whole process since its start; not every system tells.
    try:
        lines = _INPUT_AND_OUTPUT.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(
        (int(value) for name, _, value in (line.partition(":") for line in lines) if name == _FROM_STORAGE), None
    )


class _Load(StreamerFold):
    """What was loaded, and how much of it came from disk."""

    def __init__(self, loaded: Callable[[Any], Facts]) -> None:
        self._loaded = loaded
        self._facts: Facts = {}
        self._read_before = _read_from_storage()

    def add(self, chunk: Any) -> bool:  # noqa: ARG002
        return False

    def returned(self, result: Any) -> None:
        self._facts |= self._loaded(result)

    def response(self) -> Response:
        read = _read_from_storage()
        if self._read_before is not None and read is not None:
            self._facts[otel_genai.LOAD_DISK_READ_BYTES] = read - self._read_before
        return Response(extra=self._facts)


def _model(result: Any) -> Facts:
    model = result[0] if isinstance(result, tuple) else result
    return {
        otel_genai.LOAD_MEMORY_BYTES: int(model.get_memory_footprint()),
        otel_genai.LOAD_DEVICE: str(model.device),
        otel_genai.LOAD_DTYPE: str(model.dtype).removeprefix("torch."),
    }


def _folder(result: Any) -> Facts:
    return {otel_genai.LOAD_FILE_BYTES: _size(file for file in Path(result).rglob("*") if file.is_file())}


def _tokenizer(result: Any) -> Facts:
    decoding.loaded(result)
    return {}


def nothing(result: Any) -> Facts:  # noqa: ARG001
    """Of what tells nothing but its time."""
    return {}


def _loading(operation: str, name: Callable[[Arguments], str | None], loaded: Callable[[Any], Facts]) -> Endpoint:
    default = Request(operation=operation, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL)

    def tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:  # noqa: ARG001
        return arguments, _Load(loaded)

    return Endpoint(
        default=default,
        request=lambda arguments: default._replace(model=name(arguments)),
        failure=generate_failure,
        tap=tap,
    )


def _first(name: str) -> Callable[[Arguments], Any]:
    return lambda arguments: arguments.args[0] if arguments.args else arguments.kwargs.get(name)


_asked_for: Final = _first("pretrained_model_name_or_path")
_repository: Final = _first("repo_id")


def _repository_name(arguments: Arguments) -> str | None:
    is_model = arguments.kwargs.get("repo_type") in {None, "model"}
    return short_name(_repository(arguments)) if is_model else None


MODEL: Final = _loading(otel_genai.LOAD_MODEL, lambda arguments: short_name(_asked_for(arguments)), _model)
TOKENIZER: Final = _loading(otel_genai.LOAD_TOKENIZER, lambda arguments: short_name(_asked_for(arguments)), _tokenizer)
DOWNLOAD: Final = _loading(otel_genai.DOWNLOAD, _repository_name, _folder)
MOVE: Final = _loading(otel_genai.MOVE_MODEL, lambda arguments: model_name(arguments.instance), _model)
