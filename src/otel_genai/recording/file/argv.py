"""A command line that is safe to record: without secrets and possible prompts. In doubt, an argument is hidden."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN: Final = "***"

_WORDS: Final = [
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "credential",
    "auth",
    "authorization",
    "cookie",
]
_WORD: Final = "|".join(f"{word}|{word.title()}|{word.upper()}" for word in _WORDS)
_END: Final = r"""[\s"',;&}\]]"""
# A number of tokens is no secret: `max_tokens=5`.
_COUNT: Final = rf"""[\w.-]*tokens["']?\s*+[=:]\s*+["']?\d+(?:{_END}|$)"""
_NAME: Final = rf"(?!{_COUNT})(?=[\w.-]*(?:{_WORD})[sS]?(?![a-z]))[\w.-]++"
_QUOTED: Final = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""
_SCHEME: Final = r"(?:[Bb]asic|[Bb]earer|[Tt]oken)\s++"
# Keys of model providers, hubs and clouds, and JSON web tokens.
_KEY: Final = r"[spr]k-|(?:hf_|nvapi-|gsk_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|AIza|eyJ)(?=[\w.-]{12})"

_ASSIGNMENT: Final = re.compile(rf"(-*+{_NAME}\s*+[=:])\s*+.+", re.DOTALL)
_WITHIN: Final = (
    (
        rf"""(?<![\w.-])({_NAME}["']?\s*+[=:]\s*+)(?:{_QUOTED}|(?:{_SCHEME})?(?!{_END}).+?(?={_END}|$))""",
        rf"\1{HIDDEN}",
    ),
    (r"(?<=://)[^/?#\s]+@", f"{HIDDEN}@"),
    (rf"\b({_SCHEME})(?!{_END}).+?(?={_END}|$)", rf"\1{HIDDEN}"),
    (rf"(?<![\w-])(?:{_KEY}).+?(?={_END}|$)", HIDDEN),
)
_PATTERNS: Final = tuple((re.compile(pattern), replacement) for pattern, replacement in _WITHIN)


def recordable(command: Iterable[str]) -> list[str]:
    """The arguments without secrets. An argument of several words may be a prompt: its length is shown instead."""
    return [
        f"({len(argument)} characters)" if len(argument.split()) > 1 else argument
        for argument in without_secrets(command)
    ]


def without_secrets(command: Iterable[str]) -> list[str]:
    """The arguments, with `***` for secrets: values with a telling name (`--api-key`, `password=`) or form (`sk-…`)."""
    return [_without_secret(previous, argument) for previous, argument in pairwise(["", *command])]


def _without_secret(previous: str, argument: str) -> str:
    is_value = previous.startswith("-") and "=" not in previous and not argument.startswith("--")
    if is_value and _ASSIGNMENT.fullmatch(f"{previous}={argument}"):
        return HIDDEN
    if assignment := _ASSIGNMENT.fullmatch(argument):
        return f"{assignment[1]}{HIDDEN}"
    for pattern, replacement in _PATTERNS:
        argument = pattern.sub(replacement, argument)
    return argument
