"""Loading of real models: durations, sizes, sources and phases."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast, modeling_utils

from otel_genai.instrumentors.transformers import loading
from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import answered, content, said
from tests.support.providers import Recorded, attribute
from tests.support.transformer_models import save

if TYPE_CHECKING:
    from pathlib import Path

# transformers 4.48 loads in one function, later versions in several.
PARTS = tuple(
    part
    for place, name, part in (
        (modeling_utils, "_get_resolved_checkpoint_files", "resolve"),
        (LlamaForCausalLM, "_load_pretrained_model", "read_weights"),
        (LlamaForCausalLM, "_finalize_model_loading", "finish_weights"),
    )
    if hasattr(place, name)
)
knows_files = pytest.mark.skipif("resolve" not in PARTS, reason="this version does not report the files that it reads")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/self/io")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = save("llama", tmp_path_factory.mktemp("models") / "tiny-llama")
    # Imports that loading needs happen now, so that no test counts their reads from disk.
    LlamaForCausalLM.from_pretrained(saved)
    return saved


def size_of(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size


def model_load(recorded: Recorded) -> Any:
    """The span of the one loaded model. Its children, the phases, end before it."""
    *parts, load = recorded.spans(len(PARTS) + 1)
    assert tuple(part.name for part in parts) == PARTS
    assert all(part.parent == load.context for part in parts)
    return load


@knows_files
@pytest.mark.parametrize("load", [AutoModelForCausalLM, LlamaForCausalLM])
def test_a_loaded_model_is_a_span_with_its_phases(load: Any, folder: Path, instrumented: Recorded) -> None:
    model = load.from_pretrained(folder)
    assert type(model) is LlamaForCausalLM
    span = model_load(instrumented)
    assert (span.name, span.kind) == ("load_model tiny-llama", SpanKind.INTERNAL)
    reported = attributes(span)
    seconds = {name: reported.pop(name) for name in [*reported] if name.startswith("otel_genai.phase.")}
    assert seconds.keys() == {f"otel_genai.phase.{part}" for part in PARTS}
    pace = reported.pop("otel_genai.load.bytes_per_second")
    assert pace == pytest.approx(size_of(folder) / seconds["otel_genai.phase.read_weights"])
    from_disk, from_memory = (reported.pop(f"otel_genai.load.{name}_bytes", 0) for name in ("disk_read", "page_cache"))
    assert from_memory == max(0, size_of(folder) - from_disk)
    assert reported == {
        "gen_ai.operation.name": "load_model",
        "gen_ai.provider.name": "huggingface",
        "gen_ai.request.model": "tiny-llama",
        "otel_genai.load.file_bytes": size_of(folder),
        "otel_genai.load.memory_bytes": sum(each.nbytes for each in (*model.parameters(), *model.buffers())),
        "otel_genai.load.device": "cpu",
        "otel_genai.load.dtype": "float32",
    }
    assert instrumented.metrics() == {}


def test_loading_info_is_returned_unchanged(folder: Path, instrumented: Recorded) -> None:
    model, info = LlamaForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert type(model) is LlamaForCausalLM
    assert not info["missing_keys"]
    assert attribute(model_load(instrumented), "otel_genai.load.device") == "cpu"


@knows_files
@on_linux
def test_bytes_not_read_from_storage_are_from_the_page_cache(folder: Path, instrumented: Recorded) -> None:
    (folder / "model.safetensors").read_bytes()
    LlamaForCausalLM.from_pretrained(folder)
    assert attribute(model_load(instrumented), "otel_genai.load.page_cache_bytes") > 0


@knows_files
@on_linux
def test_bytes_read_from_storage_are_from_disk(
    folder: Path, instrumented: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counters = tmp_path / "io"
    monkeypatch.setattr(loading, "_INPUT_AND_OUTPUT", counters)
    counters.write_text("rchar: 5\nread_bytes: 4096\nwrite_bytes: 1\n")
    read = LlamaForCausalLM._load_pretrained_model

    def read_from_disk(*arguments: Any, **named: Any) -> Any:
        counters.write_text("rchar: 6\nread_bytes: 8192\nwrite_bytes: 1\n")
        return read(*arguments, **named)

    monkeypatch.setattr(LlamaForCausalLM, "_load_pretrained_model", staticmethod(read_from_disk))
    LlamaForCausalLM.from_pretrained(folder)
    span = model_load(instrumented)
    assert attribute(span, "otel_genai.load.disk_read_bytes") == 4096
    assert attribute(span, "otel_genai.load.page_cache_bytes") == size_of(folder) - 4096


def test_without_the_systems_counters_there_are_no_disk_attributes(
    folder: Path, instrumented: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loading, "_INPUT_AND_OUTPUT", tmp_path / "absent")
    LlamaForCausalLM.from_pretrained(folder)
    reported = attributes(model_load(instrumented))
    assert reported.keys().isdisjoint({"otel_genai.load.disk_read_bytes", "otel_genai.load.page_cache_bytes"})
    assert reported["otel_genai.load.device"] == "cpu"


@knows_files
def test_a_model_spread_over_devices_has_a_dispatch_phase(folder: Path, instrumented: Recorded, tmp_path: Path) -> None:
    LlamaForCausalLM.from_pretrained(folder, device_map={"model": "cpu", "lm_head": "disk"}, offload_folder=tmp_path)
    *parts, load = instrumented.spans(len(PARTS) + 2)
    assert tuple(part.name for part in parts) == (*PARTS, "dispatch")
    assert attribute(load, "otel_genai.phase.dispatch") > 0


def test_a_missing_model_is_an_error(tmp_path: Path, instrumented: Recorded) -> None:
    with pytest.raises(OSError, match=r"model\.safetensors"):
        LlamaForCausalLM.from_pretrained(tmp_path)
    *parts, load = instrumented.spans(PARTS.index("read_weights") + 1)
    assert [part.name for part in parts] == [*PARTS[: len(parts)]]
    assert attribute(load, "error.type") == "OSError"
    assert load.status.description == "OSError"


@pytest.mark.parametrize("load", [AutoTokenizer, PreTrainedTokenizerFast])
def test_a_loaded_tokenizer_is_a_span(load: Any, folder: Path, instrumented: Recorded) -> None:
    tokenizer = load.from_pretrained(folder)
    assert tokenizer("Hello")["input_ids"]
    span = instrumented.span()
    assert span.name == "load_tokenizer tiny-llama"
    assert attribute(span, "gen_ai.operation.name") == "load_tokenizer"
    assert instrumented.metrics() == {}


def test_a_moved_model_is_a_span(folder: Path, instrumented: Recorded) -> None:
    model = LlamaForCausalLM.from_pretrained(folder)
    model_load(instrumented)
    assert model.to("cpu") is model
    *_, move = instrumented.spans(len(PARTS) + 2)
    assert move.name == "move_model tiny-llama"
    assert attribute(move, "otel_genai.load.device") == "cpu"
    assert attribute(move, "otel_genai.load.memory_bytes") == model.get_memory_footprint()


def test_a_download_from_the_hub_is_a_span(tmp_path: Path, instrumented: Recorded) -> None:
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--tiny--llama"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots" / commit).mkdir(parents=True)
    (cached / "snapshots" / commit / "config.json").write_text("{}")
    found = huggingface_hub.snapshot_download("tiny/llama", cache_dir=tmp_path, local_files_only=True)
    assert os.fspath(found) == os.fspath(cached / "snapshots" / commit)
    span = instrumented.span()
    assert span.name == "download tiny/llama"
    assert attribute(span, "otel_genai.load.file_bytes") == 2


def test_a_download_of_a_data_set_has_no_model(tmp_path: Path, instrumented: Recorded) -> None:
    import huggingface_hub

    with pytest.raises(Exception, match=r"cache|offline|snapshot"):
        huggingface_hub.snapshot_download("tiny/set", repo_type="dataset", cache_dir=tmp_path, local_files_only=True)
    assert instrumented.span().name == "download"


def test_a_tokenizer_loaded_by_the_same_name_decodes_the_models_output(folder: Path, capturing: Recorded) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder)
    ids = model.generate(**tokenizer("Hello", return_tensors="pt"), max_new_tokens=4, do_sample=False)
    *_, generation = capturing.spans(len(PARTS) + 3)
    assert content(generation, "input.messages") == [said("user", "Hello")]
    assert content(generation, "output.messages") == answered(tokenizer.decode(ids[0, -4:]), finish_reason="length")
