"""Patches: applied when a module is imported, and reverted."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.endpoint.rows import CallRow
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.patched_toy import PatchedToy, library
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, Stream

if TYPE_CHECKING:
    from pathlib import Path


def test_reverted_methods_are_the_original_ones(recorded: Recorded) -> None:
    toy = PatchedToy(recorded)
    original = toy.module.Client.create.__wrapped__
    toy.patches.revert()
    assert vars(toy.module.Client)["create"] is original
    toy.client.create(result="x")
    assert recorded.spans(0) == []


def test_a_reverted_wrapper_inside_another_one_reports_nothing(recorded: Recorded) -> None:
    toy = PatchedToy(recorded)
    ours = toy.module.Client.create

    def another(self: Any, **arguments: Any) -> Any:
        return ours(self, **arguments)

    toy.module.Client.create = another
    toy.patches.revert()
    assert toy.client.create(result="x") == "x"
    assert recorded.spans(0) == []


def test_a_stream_that_outlives_the_instrumentation_is_still_reported(recorded: Recorded) -> None:
    toy = PatchedToy(recorded)
    stream = toy.client.create(result=Stream(["a"]))
    toy.patches.revert()
    assert list(stream) == ["a"]
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 1


def test_a_module_is_patched_when_the_application_imports_it(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_of_the_application.py").write_text("class Client:\n    def create(self, **_): return 'x'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = (CallRow(module="toy_of_the_application", target="Client.create", endpoint=TOY),)
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    assert "toy_of_the_application" not in sys.modules
    import toy_of_the_application  # type: ignore[import-not-found]

    assert toy_of_the_application.Client().create() == "x"
    assert len(recorded.spans(1)) == 1
    patches.revert()
    del sys.modules["toy_of_the_application"]


def test_a_module_that_runs_as_the_program_is_patched_while_it_runs(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = types.ModuleType("__main__")
    program.__spec__ = ModuleSpec("toy_program", None)
    program.Client = library().Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", program)
    rows = tuple(CallRow(module="toy_program", target=f"{name}.create", endpoint=TOY) for name in ("Client", "Later"))
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    assert program.Client().create(result="x") == "x"
    assert len(recorded.spans(1)) == 1
    patches.revert()


@pytest.mark.usefixtures("_lenient")
def test_a_target_that_moved_is_one_warning_and_the_others_still_work(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    sys.modules["toy_library"] = library()
    rows = (
        CallRow(module="toy_library", target="Gone.create", endpoint=TOY),
        CallRow(module="toy_library", target="Client.create", endpoint=TOY),
    )
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    (record,) = caplog.records
    assert "Gone.create of toy_library is not instrumented" in record.getMessage()
    sys.modules["toy_library"].Client().create(result="x")
    assert len(recorded.spans(1)) == 1
    patches.revert()
    del sys.modules["toy_library"]


def test_an_inherited_method_is_reverted_by_deletion(recorded: Recorded) -> None:
    module = library()

    class Derived(module.Client):  # type: ignore[name-defined, misc]
        pass

    module.Derived = Derived  # type: ignore[attr-defined]
    sys.modules["toy_library"] = module
    patches = Patches(
        (CallRow(module="toy_library", target="Derived.create", endpoint=TOY),),
        lambda: Telemetry("toy", "1", Config(), **recorded.providers),
    )
    patches.apply()
    Derived().create(result="x")
    patches.revert()
    assert "create" not in vars(Derived)
    assert len(recorded.spans(1)) == 1
    del sys.modules["toy_library"]
