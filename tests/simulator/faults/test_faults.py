"""Faults: their notation, their switches over HTTP and by command; and a model that is still loading."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai import cli
from otel_genai.simulator import foreground, serve
from otel_genai.simulator.engine.startup import Startup
from otel_genai.simulator.faults.faults import FaultError, Faults, parse
from tests.support.simulator.calls import HELLO, post, send
from tests.support.simulator.process import run_simulator
from tests.support.simulator.virtual_time import PROFILE

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    from collections.abc import Awaitable

OFF = {"slow_decode": None, "kv_tokens": None, "error_rate": None, "stall": None}


def switched(url: str, method: str, body: str | None = None) -> tuple[int, Any]:
    status, _, answer = send(url, method, "/faults", body)
    return status, json.loads(answer)


# ── notation ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ([], {}),
        (["slow-decode=4"], {"slow_decode": 4}),
        (["slow_decode=1.5", "kv-tokens=2000"], {"slow_decode": 1.5, "kv_tokens": 2000}),
        (["error-rate=0.3", "stall=500ms"], {"error_rate": 0.3, "stall": 0.5}),
        (["stall=off"], {"stall": None}),
        (["off", "stall=2s"], OFF | {"stall": 2.0}),
    ],
)
def test_arguments_are_parsed_into_changes(arguments: list[str], changes: dict[str, float | None]) -> None:
    assert parse(arguments) == changes


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("fire=1", "no such fault: 'fire' (there are: slow_decode, kv_tokens, error_rate, stall)"),
        ("slow-decode", "'slow_decode' cannot be '': it is a number from 1 on: how many times as long decoding takes"),
        ("slow-decode=0.5", "'slow_decode' cannot be 0.5: it is a number from 1 on"),
        ("slow-decode=nan", "'slow_decode' cannot be nan: it is a number from 1 on"),
        ("kv-tokens=1.5", "'kv_tokens' cannot be 1.5: it is a whole number from 1 on"),
        ("error-rate=2", "'error_rate' cannot be 2: it is a number from 0 to 1"),
        ("stall=2", "'stall' cannot be '2': it is a duration such as 2s"),
    ],
)
def test_an_invalid_argument_is_refused_with_the_reason(word: str, reason: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse([word])
    assert str(caught.value).startswith(reason)


def test_a_refused_change_changes_nothing() -> None:
    faults = Faults({"slow_decode": 2})
    with pytest.raises(FaultError):
        faults.update({"slow_decode": 3, "kv_tokens": True})
    assert faults.state() == OFF | {"slow_decode": 2}


# ── over HTTP ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_faults_are_switched_on_and_off_at_run_time() -> None:
    with serve(profile=PROFILE, faults={"stall": 2.0}) as url:
        assert switched(url, "GET") == (200, OFF | {"stall": 2.0})
        assert switched(url, "POST", '{"slow_decode": 4}') == (200, OFF | {"slow_decode": 4, "stall": 2.0})
        assert switched(url, "POST", '{"stall": null}') == (200, OFF | {"slow_decode": 4})
        assert switched(url, "DELETE") == (200, OFF)


def test_an_error_rate_applies_from_the_next_request_on() -> None:
    with serve() as url:
        assert post(url, model="sim-small", messages=HELLO)[0] == 200
        switched(url, "POST", '{"error_rate": 1}')
        assert post(url, model="sim-small", messages=HELLO)[0] in {429, 500}
        switched(url, "POST", '{"error_rate": 0}')
        assert post(url, model="sim-small", messages=HELLO)[0] == 200
        assert switched(url, "GET") == (200, OFF)


def test_a_fault_of_an_engine_is_refused_without_a_profile() -> None:
    with serve() as url:
        status, body = switched(url, "POST", '{"kv_tokens": 10}')
        assert status == 400
        assert body["error"]["message"] == (
            "slow_decode, kv_tokens, stall need an engine: start the simulator with --profile"
        )
        assert switched(url, "POST", '{"kv_tokens": null}') == (200, OFF)


def test_an_invalid_change_is_a_bad_request() -> None:
    with serve(profile=PROFILE) as url:
        status, body = switched(url, "POST", '{"stall": "long"}')
        assert (status, body["error"]["type"]) == (400, "invalid_request_error")


def test_a_prompt_as_long_as_the_context_is_refused() -> None:
    with serve(profile=PROFILE) as url:
        long: Any = [{"role": "user", "content": "word " * 200}]
        status, body = post(url, model="sim-small", messages=long)
        assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
        assert body["error"]["message"].startswith("This model's maximum context length is 160 tokens. However, ")


# ── by command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_command_switches_several_simulators(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(profile=PROFILE) as one, serve(profile=PROFILE) as other:
        addresses = ["--at", one, "--at", other.removesuffix("/v1")]
        assert cli.main(["fault", *addresses, "kv-tokens=2000", "stall=500ms"]) == 0
        assert switched(other, "GET") == (200, OFF | {"kv_tokens": 2000, "stall": 0.5})
        assert cli.main(["fault", "--at", one]) == 0
        assert cli.main(["fault", "off", *addresses]) == 0
        assert switched(one, "GET") == (200, OFF)
    output = capsys.readouterr().out.replace(one, "ONE").replace(other.removesuffix("/v1"), "OTHER")
    assert output.splitlines() == [
        "ONE: kv-tokens=2000 stall=0.5s",
        "OTHER: kv-tokens=2000 stall=0.5s",
        "ONE: kv-tokens=2000 stall=0.5s",
        "ONE: no fault is on",
        "OTHER: no fault is on",
    ]


def test_a_simulator_that_refuses_or_does_not_answer_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], model_server: str
) -> None:
    assert cli.main(["fault", "--at", model_server, "kv-tokens=10"]) == 1
    assert cli.main(["fault", "--at", f"{model_server}/elsewhere"]) == 1
    assert cli.main(["fault", "--at", "http://127.0.0.1:1"]) == 1
    assert cli.main(["fault", "--at", "file:///etc"]) == 1
    lines = capsys.readouterr().err.replace(model_server, "URL").splitlines()
    assert lines == [
        "otel-genai fault: URL: slow_decode, kv_tokens, stall need an engine: start the simulator with --profile",
        "otel-genai fault: URL/elsewhere: Invalid URL (GET /v1/elsewhere/faults)",
        "otel-genai fault: http://127.0.0.1:1: [Errno 111] Connection refused",
        "otel-genai fault: file:///etc: not an address such as http://127.0.0.1:8000",
    ]


def test_a_wrong_argument_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["fault", "fire=1"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("otel-genai fault: argument NAME=VALUE: no such fault: 'fire'")


# ── start-up ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_profile_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = 1")
    for path, reason in (
        (tmp_path / "none.toml", f"cannot read {tmp_path / 'none.toml'}: No such file or directory"),
        (tmp_path / "bad.toml", f"{tmp_path / 'bad.toml'}: field 'prefill_tokens_per_second' is missing"),
    ):
        status, _, errors = run_simulator("--profile", str(path))
        assert (status, errors.splitlines()[-1]) == (2, f"otel-genai simulate: error: argument --profile: {reason}")


def test_a_command_starts_when_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(
        json.dumps(
            {
                "name": "quick to load",
                "prefill_tokens_per_second": 1e5,
                "decode_step_ms": [[1, 1]],
                "kv_cache_tokens": 1000,
                "startup_seconds": 0.2,
            }
        )
    )
    status, output, errors = run_simulator(
        *("--port", "0", "--profile", str(tmp_path / "p.json"), "--fault", "stall=1s", "--", sys.executable, "-c"),
        """
import os, urllib.request
url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
print(urllib.request.urlopen(url + "/health").status, urllib.request.urlopen(url + "/faults").read().decode())
""",
    )
    assert (status, output, errors) == (
        0,
        '200 {"slow_decode":null,"kv_tokens":null,"error_rate":null,"stall":1.0}\n',
        "",
    )


def test_a_signal_ends_the_simulator_while_it_is_loading(capsys: pytest.CaptureFixture[str]) -> None:
    async def terminated(waiting: Awaitable[int | None]) -> int | None:
        # The signal comes as soon as the event loop waits: its handlers are set by then.
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        return await waiting

    assert asyncio.run(terminated(foreground.until_interrupted("ready", loading=3600))) is None
    assert asyncio.run(terminated(foreground.run(["no-such-command"], base_url="", loading=3600))) == 128 + 15
    assert capsys.readouterr().err == ""


def test_only_metrics_and_faults_are_served_while_the_model_is_loading() -> None:
    with serve(startup=3600) as url:
        assert send(url, "GET", "/health")[0] == 503
        assert send(url, "GET", "/v1/models")[0] == 503
        status, body = post(url, model="sim-small", messages=HELLO)
        assert (status, body["error"]["code"]) == (503, "model_loading")
        assert send(url, "GET", "/metrics")[0] == 200
        assert send(url, "GET", "/faults")[0] == 200


def test_a_startup_ends_after_its_time() -> None:
    now = 100.0
    startup = Startup(5, clock=lambda: now)
    assert startup.remaining() == 5
    now = 103.5
    assert startup.remaining() == 1.5
    now = 106
    assert startup.remaining() == 0
