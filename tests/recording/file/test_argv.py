"""A command line is shown without its secrets, and with all that says what was run."""

from __future__ import annotations

import shlex

import pytest

from otel_genai.recording.file.argv import recordable, without_secrets


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("--api-key geheim serve", "--api-key *** serve"),
        ("--api-key=geheim serve", "--api-key=*** serve"),
        ("--openai_api_key geheim", "--openai_api_key ***"),
        ("--apiKey geheim", "--apiKey ***"),
        ("--access-token geheim", "--access-token ***"),
        ("--client-secret geheim", "--client-secret ***"),
        ("--password 1234", "--password ***"),
        ("--password -geheim", "--password ***"),
        ("--password='geheim mit, Komma'", "--password=***"),
        ("--password 'geheim\nzwei'", "--password ***"),
        ("--auth-file geheim", "--auth-file ***"),
        ("OPENAI_API_KEY=geheim", "OPENAI_API_KEY=***"),
        ("--header 'Authorization: Bearer geheim'", "--header Authorization:***"),
        ("--header 'Cookie: a=geheim; b=geheim'", "--header Cookie:***"),
        ("""--extra '{"api_key": "geh eim", "seed": 1}'""", """--extra '{"api_key": ***, "seed": 1}'"""),
        ("""--extra "{'token': 'geh, eim'}" """, """--extra "{'token': ***}" """),
        ("--set seed=1,password=geheim,n=2", "--set seed=1,password=***,n=2"),
        ("http://me:geheim@host:8000/v1", "http://***@host:8000/v1"),
        ("--url=https://host/v1?api_key=geheim&n=2", "--url=https://host/v1?api_key=***&n=2"),
        ("say sk-geheim", "say ***"),
        ("--x=sk-geheim", "--x=***"),
        ("say hf_geheimgeheimgeheim", "say ***"),
        ("say 'Bearer geheim'", "say 'Bearer ***'"),
    ],
)
def test_secrets_are_hidden(command: str, shown: str) -> None:
    assert without_secrets(shlex.split(command)) == shlex.split(shown)
    assert "geheim" not in shown


@pytest.mark.parametrize(
    "command",
    [
        "app.py --model gpt-4o -n 3 --stream",
        "--max-tokens 100 --max-tokens=100 --tokenizer gpt2",
        "--data prompt_tokens=256,output_tokens=128",
        """--extra '{"max_tokens": 5}'""",
        "--no-auth --model gpt-4o",
        "--author Jo --keyspace small task-1 risk-based hf_small",
        "--url http://localhost:8000/v1?n=2",
        "--api-key",
    ],
)
def test_other_arguments_are_kept(command: str) -> None:
    assert without_secrets(shlex.split(command)) == shlex.split(command)


@pytest.mark.parametrize("piece", ["a", "-", "_-", "a=", '"', "key ", 'key="\\', "tokens", "x:-", "http://", "bearer "])
def test_a_long_argument_takes_linear_time(piece: str) -> None:
    # A pattern that went back and forth over them would take hours.
    argument = piece * 200_000
    assert len(without_secrets(["--option", argument, argument])) == 3


def test_a_possible_prompt_is_not_shown() -> None:
    command = ["chat.py", "--model", "gpt-4o", "Why is the sky blue?", "--key", "two words"]
    assert recordable(command) == ["chat.py", "--model", "gpt-4o", "(20 characters)", "--key", "***"]
