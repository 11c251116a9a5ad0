"""Profiles: the duration of a step, valid and invalid files, and the shipped profiles."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from otel_genai.simulator.engine.profile import Profile, ProfileError

SHIPPED = sorted((Path(__file__).parents[3] / "deploy" / "profiles").glob("*.toml"))
FIELDS: dict[str, Any] = {
    "name": "a model",
    "prefill_tokens_per_second": 1000,
    "decode_step_ms": [[1, 10], [11, 20], [21, 40]],
    "kv_cache_tokens": 1600,
}


def profile(tmp_path: Path, fields: Any, name: str = "profile.json") -> Profile:
    path = tmp_path / name
    path.write_text(json.dumps(fields))
    return Profile.read(path)


@pytest.mark.parametrize(
    ("prompt_tokens", "decoding", "milliseconds"),
    [
        (0, 1, 10),
        (0, 6, 15),  # halfway from 1 to 11
        (0, 11, 20),
        (0, 16, 30),
        (0, 31, 60),  # beyond the last point
        (5, 0, 10),  # without decoding, the weights are still read
        (50, 0, 50),
        (50, 1, 50),  # the prompt takes longer than the weights
        (50, 11, 60),  # with the batch's addition
    ],
)
def test_a_steps_duration_is_that_of_its_prompts_and_its_batch(
    tmp_path: Path, prompt_tokens: int, decoding: int, milliseconds: float
) -> None:
    read = profile(tmp_path, FIELDS)
    assert read.step_seconds(prompt_tokens, decoding) == pytest.approx(milliseconds / 1000)
    slower = dataclasses.replace(read, step_overhead_ms=3)
    assert slower.step_seconds(prompt_tokens, decoding) == pytest.approx((milliseconds + 3) / 1000)


def test_one_point_is_the_time_of_every_batch(tmp_path: Path) -> None:
    read = profile(tmp_path, FIELDS | {"decode_step_ms": [[4, 10]]})
    assert [read.step_seconds(0, batch) for batch in (1, 4, 99)] == [0.01, 0.01, 0.01]


def test_optional_fields_have_usable_defaults(tmp_path: Path) -> None:
    read = profile(tmp_path, FIELDS)
    assert (read.block_tokens, read.max_sequences, read.step_tokens) == (16, 256, 2048)
    assert (read.step_overhead_ms, read.startup_seconds, read.context_length()) == (0, 0, 1600)
    assert dataclasses.replace(read, context_tokens=100).context_length() == 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"speed": 1}, "unknown field 'speed' (there are: name, prefill_tokens_per_second, "),
        ({"name": 1}, "'name' is not a text"),
        ({"kv_cache_tokens": 0}, "'kv_cache_tokens' is not a whole number above zero: 0"),
        ({"kv_cache_tokens": 1.5}, "'kv_cache_tokens' is not a whole number above zero: 1.5"),
        ({"kv_cache_tokens": True}, "'kv_cache_tokens' is not a whole number above zero: True"),
        ({"prefill_tokens_per_second": "fast"}, "'prefill_tokens_per_second' is not a number above zero: 'fast'"),
        ({"startup_seconds": -1}, "'startup_seconds' is not a number above zero: -1"),
        ({"decode_step_ms": []}, "'decode_step_ms' is not a list of pairs [sequences, milliseconds]"),
        ({"decode_step_ms": [[1]]}, "'decode_step_ms' is not a list of pairs [sequences, milliseconds]"),
        ({"decode_step_ms": [[1, 0]]}, "'decode_step_ms' is not a number above zero: 0"),
        ({"decode_step_ms": [[2, 5], [1, 6]]}, "'decode_step_ms' does not ascend by sequences"),
    ],
)
def test_an_invalid_profile_is_refused_with_the_field_and_the_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        profile(tmp_path, FIELDS | change)
    assert str(caught.value).startswith(f"{tmp_path / 'profile.json'}: {reason}")


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="field 'kv_cache_tokens' is missing"):
        profile(tmp_path, {name: value for name, value in FIELDS.items() if name != "kv_cache_tokens"})


@pytest.mark.parametrize("name", ["profile.json", "profile.toml"])
def test_a_file_of_neither_format_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("{")
    with pytest.raises(ProfileError):
        Profile.read(path)
    with pytest.raises(ProfileError, match="not an object"):
        profile(tmp_path, [1])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_profiles_can_be_read(path: Path) -> None:
    read = Profile.read(path)
    assert read.name
    assert read.context_length() > read.step_tokens


def test_profiles_are_shipped() -> None:
    assert len(SHIPPED) >= 2


def test_the_shipped_profiles_have_the_speed_that_their_comments_name() -> None:
    fast = Profile.read(next(path for path in SHIPPED if "h100" in path.stem))
    slow = Profile.read(next(path for path in SHIPPED if "l4" in path.stem))
    # Tokens a second of one user, and of a full batch together.
    assert round(1 / fast.step_seconds(0, 1)) == 137
    assert round(256 / fast.step_seconds(0, 256)) == 13474
    assert round(1 / slow.step_seconds(0, 1)) == 17
    assert round(64 / slow.step_seconds(0, 64)) == 859
