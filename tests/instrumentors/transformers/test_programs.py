"""Unmodified programs with streamers under `otel-genai run`: the same output as under `python`, and every token recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import PYTHON, RUN, outcome
from tests.support.recording.files import operations
from tests.support.transformer_models import save

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[3] / "examples" / "transformers_stream.py"
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}

LOADING = """\
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer, TextStreamer
from transformers.generation.streamers import BaseStreamer
tokenizer = AutoTokenizer.from_pretrained({model!r})
model = AutoModelForCausalLM.from_pretrained({model!r})
def arguments(streamer):
    return dict(tokenizer("Hello, world!", return_tensors="pt"), streamer=streamer, max_new_tokens=4)
"""

SUBCLASS = """
class Counting(TextStreamer):
    pieces = 0
    def put(self, value):
        self.pieces += 1
        super().put(value)
    def on_finalized_text(self, text, stream_end=False):
        pass
streamer = Counting(tokenizer)
ids = model.generate(**arguments(streamer))
print(streamer.pieces, ids.shape[1])
"""

ISINSTANCE = """
streamer = TextIteratorStreamer(tokenizer)
print(isinstance(TextStreamer, type), isinstance(streamer, TextStreamer), issubclass(TextIteratorStreamer, BaseStreamer))
print(type(streamer).__mro__[1] is TextStreamer)
model.generate(**arguments(streamer))
sys.exit(3)
"""

ITERATOR = """
from threading import Thread
streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=60)
thread = Thread(target=model.generate, kwargs=arguments(streamer))
thread.start()
text = "".join(streamer)
thread.join()
print(text == tokenizer.decode(model.generate(**arguments(None))[0, 10:]))
"""

SPAWN = """
import multiprocessing
def generate(_):
    return model.generate(**arguments(None)).shape[1]
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(generate, [0]))
"""

PROGRAMS: dict[str, tuple[str, int, str, int]] = {
    "subclass": (SUBCLASS, 0, "5 14\n", 1),
    "isinstance": (ISINSTANCE, 3, "True True True\nTrue\n", 1),
    "iterator": (ITERATOR, 0, "True\n", 2),
    "spawn": (SPAWN, 0, "[14]\n", 1),
}
"""Name → program, exit status, output, number of generations."""


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its tokenizer."""
    return save("llama", tmp_path_factory.mktemp("models") / "small")


def generations(folder: Path) -> Iterator[dict[str, Any]]:
    """The recorded generations of all processes."""
    for path in sorted(folder.glob("run*.jsonl")):
        for operation in operations(path):
            if operation["request"]["operation"] == "text_completion":
                yield operation


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_as_under_python_and_is_recorded(name: str, saved_model: Path, tmp_path: Path) -> None:
    program, status, printed, count = PROGRAMS[name]
    script = tmp_path / "scripts" / f"{name}.py"
    script.parent.mkdir()
    script.write_text(LOADING.format(model=str(saved_model)) + program)
    launcher = (*RUN, "--record", "run.jsonl")
    done = outcome(launcher, f"scripts/{name}.py", cwd=tmp_path, **QUIET)
    assert done[:2] == (status, printed), done[2]
    recorded = [*generations(tmp_path)]
    assert [(line["request"]["model"], line["usage"], line["tokens"]) for line in recorded] == [
        ("small", {"input": 10, "output": 4}, [1, 1, 1, 1])
    ] * count


def test_the_example_is_recorded_token_by_token(saved_model: Path, tmp_path: Path) -> None:
    bare = outcome(PYTHON, str(EXAMPLE), str(saved_model), cwd=tmp_path, **QUIET)
    recorded = outcome((*RUN, "--record", "run.jsonl"), str(EXAMPLE), str(saved_model), cwd=tmp_path, **QUIET)
    assert recorded[:2] == (0, bare[1])
    assert recorded[1].startswith("> Why is the sky blue?")
    assert [sum(line["tokens"]) for line in generations(tmp_path)] == [60, 60]
