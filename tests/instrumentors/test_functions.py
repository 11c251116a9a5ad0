"""Functions that the user names: functions, methods, classes and generators are timed, and behave as before."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import logging
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from otel_genai.operation import Operation

LIBRARY = """
import asyncio, functools

class Engine:
    def __init__(self, size=1):
        self.size = size
    def step(self, count):
        if count < 0:
            raise ValueError("negative")
        return count * self.size
    async def astep(self, count):
        await asyncio.sleep(0)
        return count
    @functools.wraps(astep)
    def decorated(self, count):
        return self.astep(count)
    def tokens(self, count):
        for token in range(count):
            received = yield token
            if received is not None:
                yield received
    async def atokens(self, count):
        for token in range(count):
            yield token
    @staticmethod
    def load(name):
        return name
    @classmethod
    def made(cls, size):
        return cls(size)

class Turbo(Engine):
    pass

def plain(value):
    return value

def deep(count):
    return deep(count - 1) + 1 if count else 0
"""


@pytest.fixture
def wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> Iterator[Callable[..., ModuleType]]:
    """A function that instruments these functions of a library and returns the library."""
    (tmp_path / "timed_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)

    def library(*targets: str) -> Any:
        monkeypatch.setenv("OTEL_GENAI_WRAP", ",".join(f"timed_library:{target}" for target in targets))
        otel_genai.instrument(**recorded.providers)
        return importlib.import_module("timed_library")

    yield library
    otel_genai.uninstrument()
    sys.modules.pop("timed_library", None)


def test_a_method_is_a_span_with_its_name_and_nothing_else(wrap: Callable[..., Any], recorded: Recorded) -> None:
    engine = wrap("Engine.step").Engine(3)
    with trace.use_span(recorded.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        assert engine.step(2) == 6
    span, app = recorded.spans(2)
    assert (span.name, span.kind, span.status.status_code) == ("Engine.step", SpanKind.INTERNAL, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {"code.function.name": "timed_library.Engine.step"}
    assert span.parent == app.context
    assert recorded.metrics() == {}


def test_a_function_may_have_a_name_of_the_users(wrap: Callable[..., Any], recorded: Recorded) -> None:
    wrap("Engine.step=decode a step").Engine().step(1)
    assert recorded.span().name == "decode a step"


def test_an_error_reaches_the_caller_and_the_span(wrap: Callable[..., Any], recorded: Recorded) -> None:
    with pytest.raises(ValueError, match=r"^negative$") as caught:
        wrap("Engine.step").Engine().step(-1)
    assert caught.traceback[-1].name == "step"
    span = recorded.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert attribute(span, "error.type") == "ValueError"


@pytest.mark.parametrize("name", ["astep", "decorated"])
async def test_a_coroutine_ends_its_span_when_it_returns(
    wrap: Callable[..., Any], recorded: Recorded, name: str
) -> None:
    pending = getattr(wrap(f"Engine.{name}").Engine(), name)(4)
    assert recorded.spans(0) == []
    assert await pending == 4
    assert recorded.span().name == f"Engine.{name}"


def test_each_item_of_a_generator_has_its_time(wrap: Callable[..., Any], recorded: Recorded) -> None:
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    tokens = wrap("Engine.tokens").Engine().tokens(3)
    assert inspect.isgenerator(tokens)
    assert list(tokens) == [0, 1, 2]
    stop()
    assert len(operations[0].timing.chunks) == len(operations[0].timing.asked) == 3
    assert recorded.span().name == "Engine.tokens"


def test_a_generator_can_be_sent_to(wrap: Callable[..., Any]) -> None:
    tokens = wrap("Engine.tokens").Engine().tokens(3)
    assert next(tokens) == 0
    assert tokens.send("sent") == "sent"
    assert list(tokens) == [1, 2]


async def test_each_item_of_an_async_generator_has_its_time(wrap: Callable[..., Any], recorded: Recorded) -> None:
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    assert [token async for token in wrap("Engine.atokens").Engine().atokens(2)] == [0, 1]
    stop()
    assert len(operations[0].timing.chunks) == 2
    assert recorded.span().name == "Engine.atokens"


@pytest.mark.parametrize(
    ("target", "call", "name"),
    [
        ("Engine.load", lambda library: library.Engine.load("x"), "Engine.load"),
        ("Engine.made", lambda library: library.Turbo.made(2).size, "Engine.made"),
        ("plain", lambda library: library.plain("x"), "plain"),
        ("Engine", lambda library: library.Turbo(2).size, "Engine"),
    ],
    ids=["static method", "class method", "function", "class"],
)
def test_every_kind_of_function_is_a_span(
    wrap: Callable[..., Any], recorded: Recorded, target: str, call: Callable[[Any], Any], name: str
) -> None:
    assert call(wrap(target)) in {"x", 2}
    assert recorded.span().name == name


def test_a_function_that_calls_itself_is_one_span(wrap: Callable[..., Any], recorded: Recorded) -> None:
    assert wrap("deep").deep(5) == 5
    assert len(recorded.spans(1)) == 1


def test_a_class_stays_a_class(wrap: Callable[..., Any]) -> None:
    library = wrap("Engine", "Engine.step", "Engine.load")
    assert isinstance(library.Engine, type)
    assert issubclass(library.Turbo, library.Engine)
    base: Any = library.Engine

    class Own(base):  # type: ignore[misc]
        def step(self, count: int) -> int:
            return int(base.step(self, count)) + 1

    assert isinstance(Own(2), library.Engine)
    own: Any = Own(2)
    assert own.step(2) == 5
    assert str(inspect.signature(library.Engine)) == "(size=1)"
    assert str(inspect.signature(base.step)) == "(self, count)"


def test_pickling_and_copying_keep_working(wrap: Callable[..., Any]) -> None:
    library = wrap("Engine", "Engine.step", "plain")
    engine = pickle.loads(pickle.dumps(library.Engine(2)))
    assert engine.step(2) == 4
    assert pickle.loads(pickle.dumps(library.plain)) is library.plain
    assert pickle.loads(pickle.dumps(engine.step))(3) == 6
    assert copy.copy(library.plain) is library.plain
    assert copy.deepcopy({"how": library.plain})["how"] is library.plain


def test_functions_can_be_sent_to_other_processes(wrap: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, otel_genai\n"
        "otel_genai.instrument()\n"
        "import timed_library\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(timed_library.plain, [1, 2]), pool.map(timed_library.Engine(2).step, [3]))\n"
    )
    wrap("plain", "Engine.step")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[1, 2] [6]\n", "")


def test_uninstrument_restores_the_original_functions(wrap: Callable[..., Any]) -> None:
    library = wrap("Engine", "Engine.step", "plain")
    originals = [vars(library.Engine)["__init__"], vars(library.Engine)["step"], library.plain]
    otel_genai.uninstrument()
    assert [vars(library.Engine)["__init__"], vars(library.Engine)["step"], library.plain] == [
        original.__wrapped__ for original in originals
    ]


@pytest.mark.usefixtures("_lenient")
def test_a_function_that_does_not_exist_is_one_warning(
    wrap: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert wrap("Engine.stop", "plain").plain(1) == 1
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "otel-genai met an error of its own; your application is not affected, but Engine.stop of timed_library is not instrumented"
    ]


def test_a_malformed_specification_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_GENAI_WRAP", "json.dumps, json:loads")
    caplog.set_level(logging.WARNING)
    otel_genai.instrument()
    otel_genai.uninstrument()
    assert caplog.messages == [
        "OTEL_GENAI_WRAP: 'json.dumps' is not understood. Use: package.module:Class.method[=name]"
    ]


def test_a_generator_is_not_current_while_its_consumer_works(wrap: Callable[..., Any], recorded: Recorded) -> None:
    async def consume() -> None:
        async for _ in wrap("Engine.atokens").Engine().atokens(2):
            assert not trace.get_current_span().get_span_context().is_valid

    asyncio.run(consume())
    recorded.span()
