"""A command line as it may be shown: secrets and whatever may be a prompt are taken out, and rather too much than too little."""

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
# Tokens in the plural, with a number, are those of a model.
_COUNT: Final = rf"""[\w.-]*tokens["']?\s*+[=:]\s*+["']?\d+(?:{_END}|$)"""
_NAME: Final = rf"(?!{_COUNT})(?=[\w.-]*(?:{_WORD})[sS]?(?![a-z]))[\w.-]++"
_QUOTED: Final = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""
_SCHEME: Final = r"(?:[Bb]asic|[Bb]earer|[Tt]oken)\s++"
# Of model providers, of their hubs and clouds, and JSON web tokens.
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
_PATTERNS: Final = tuple((re.compile(pattern), instead) for pattern, instead in _WITHIN)


def shown(command: Iterable[str]) -> list[str]:
    """The arguments without secrets, and without those of several words: one of them may be a prompt."""
    return [
        f"({len(argument)} characters)" if len(argument.split()) > 1 else argument
        for argument in without_secrets(command)
    ]


def without_secrets(command: Iterable[str]) -> list[str]:
    """The arguments, with `***` for what a name (`--api-key`, `password=`) or its looks (`sk-…`) make known as a secret."""
    return [_shown(previous, argument) for previous, argument in pairwise(["", *command])]


def _shown(previous: str, argument: str) -> str:
    is_value = previous.startswith("-") and "=" not in previous and not argument.startswith("--")
    if is_value and _ASSIGNMENT.fullmatch(f"{previous}={argument}"):
        return HIDDEN
    if assignment := _ASSIGNMENT.fullmatch(argument):
        return f"{assignment[1]}{HIDDEN}"
    for pattern, instead in _PATTERNS:
        argument = pattern.sub(instead, argument)
    return argument
