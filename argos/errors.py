"""Errors a user can meet; each is printed as one line, without a traceback, and carries its exit code."""

from __future__ import annotations


class ArgosError(Exception):
    """Something outside the program is wrong: a file, a camera, a configuration, a port.

    The message says where, what was expected, what was found and what to do.
    ``exit_code`` is the process status the command line ends with (DESIGN section 8).
    """

    exit_code = 1


class UsageError(ArgosError):
    """A wrong argument on the command line."""

    exit_code = 2


class ConfigError(ArgosError):
    """A configuration is invalid; the message holds one line per fault (``file:line:column: key: what``)."""

    exit_code = 2


class DataError(ArgosError):
    """Annotated photos for training or measuring are missing, unreadable or wrongly annotated."""

    exit_code = 2


class SourceError(ArgosError):
    """A file or camera cannot be opened or read.

    Attributes:
        code: stable word for programs: ``not_found``, ``not_a_video``, ``no_video``, ``no_images``, ``refused``,
            ``unauthorized``, ``timeout``, ``ended``, ``ended_early``, ``unsupported``, ``crashed``, ``memory``,
            ``failed``.
    """

    exit_code = 3

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class WeightsError(ArgosError):
    """A weights file is missing, has the wrong shape, or does not match the digest in its card."""

    exit_code = 4


class DeviceError(ArgosError):
    """The asked device or backend is not available on this machine."""

    exit_code = 5


class PublishError(ArgosError):
    """An endpoint cannot be bound or an output cannot be written."""

    exit_code = 6


class SchemaError(ArgosError):
    """A message, or a line of a file of results, does not follow the ``argos/1`` contract."""

    exit_code = 2
