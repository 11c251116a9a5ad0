"""The ways in which a run fails before or instead of the program. Messages are one sentence for the user."""

from __future__ import annotations


class CannotRunError(Exception):
    """The program cannot be run, or an option or setting is not possible."""


class ExtraMissingError(Exception):
    """A package of the extra `run` is not installed."""


class EndedBySignalError(BaseException):
    """The program ran as a subprocess and was ended by a signal, by which this process is to end, too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
