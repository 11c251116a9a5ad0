"""Loading, most of a cold start: models, tokenizers, downloads from the hub, and moves to a device.

Bytes from disk count the reads from storage of all threads meanwhile. The rest of the files came from the page cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.endpoint import Endpoint, StreamerFold
from otel_genai.instrumentors.model_names import short_name
from otel_genai.instrumentors.transformers import decoding
from otel_genai.instrumentors.transformers.generate import generate_failure
from otel_genai.instrumentors.transformers.model_name import model_name
from otel_genai.operation import Request, Response, Side
from otel_genai.semconv import otel_genai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import StreamerTee

_INPUT_AND_OUTPUT: Final = Path("/proc/self/io")
_FROM_STORAGE: Final = "read_bytes"

_Extra = dict[str, str | float]


def weight_files(resolved: tuple[Iterable[str] | None, Any]) -> Mapping[str, Any]:
    """The size of a model's files, in bytes, from the result of `_get_resolved_checkpoint_files`."""
    return {otel_genai.LOAD_FILE_BYTES: _size(map(Path, resolved[0] or ()))}


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read_from_storage() -> int | None:
    # Bytes of the whole process since its start; `None` on systems other than Linux.
    try:
        lines = _INPUT_AND_OUTPUT.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(
        (int(value) for name, _, value in (line.partition(":") for line in lines) if name == _FROM_STORAGE), None
    )


class _Load(StreamerFold):
    """The attributes of a loaded object, and the bytes from disk."""

    def __init__(self, read: Callable[[Any], _Extra]) -> None:
        self._read = read
        self._extra: _Extra = {}
        self._storage_before = _read_from_storage()

    def add(self, chunk: Any) -> bool:  # noqa: ARG002
        return False

    def returned(self, result: Any) -> None:
        self._extra |= self._read(result)

    def response(self) -> Response:
        storage_now = _read_from_storage()
        if self._storage_before is not None and storage_now is not None:
            self._extra[otel_genai.LOAD_DISK_READ_BYTES] = storage_now - self._storage_before
        return Response(extra=self._extra)


def _model(result: Any) -> _Extra:
    model = result[0] if isinstance(result, tuple) else result
    return {
        otel_genai.LOAD_MEMORY_BYTES: int(model.get_memory_footprint()),
        otel_genai.LOAD_DEVICE: str(model.device),
        otel_genai.LOAD_DTYPE: str(model.dtype).removeprefix("torch."),
    }


def _folder(result: Any) -> _Extra:
    return {otel_genai.LOAD_FILE_BYTES: _size(file for file in Path(result).rglob("*") if file.is_file())}


def _tokenizer(result: Any) -> _Extra:
    decoding.remember_tokenizer(result)
    return {}


def _loading(operation: str, name: Callable[[Arguments], str | None], read: Callable[[Any], _Extra]) -> Endpoint:
    default = Request(operation=operation, provider=otel_genai.HUGGING_FACE, side=Side.INTERNAL)

    def tap(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, StreamerFold]:  # noqa: ARG001
        return arguments, _Load(read)

    return Endpoint(
        default=default,
        request=lambda arguments: default._replace(model=name(arguments)),
        failure=generate_failure,
        tap=tap,
    )


def _first(name: str) -> Callable[[Arguments], Any]:
    return lambda arguments: arguments.positional_or_keyword(0, name)


_name_or_path: Final = _first("pretrained_model_name_or_path")
_repository: Final = _first("repo_id")


def _repository_name(arguments: Arguments) -> str | None:
    is_model = arguments.kwargs.get("repo_type") in {None, "model"}
    return short_name(_repository(arguments)) if is_model else None


MODEL: Final = _loading(otel_genai.LOAD_MODEL, lambda arguments: short_name(_name_or_path(arguments)), _model)
TOKENIZER: Final = _loading(
    otel_genai.LOAD_TOKENIZER, lambda arguments: short_name(_name_or_path(arguments)), _tokenizer
)
DOWNLOAD: Final = _loading(otel_genai.DOWNLOAD, _repository_name, _folder)
MOVE: Final = _loading(otel_genai.MOVE_MODEL, lambda arguments: model_name(arguments.instance), _model)
