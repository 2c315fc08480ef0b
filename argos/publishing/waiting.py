"""What waits between the subscriber's I/O thread and its consumer: the newest messages, and never more than that."""

from __future__ import annotations

from collections import deque


class Latest:
    """The newest message of each camera and kind; a stream keeps its turn when its message is replaced."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, stream: tuple[str, str], parts: list[bytes]) -> int:
        """Keep a message; returns how many it replaced."""
        replaced = int(stream in self._messages)
        self._messages[stream] = parts
        return replaced

    def take(self) -> list[bytes]:
        """Remove and return the message of the stream that has waited longest.

        Raises:
            StopIteration: there is none.
        """
        return self._messages.pop(next(iter(self._messages)))


class Queue:
    """The newest messages of all streams, in order."""

    def __init__(self, longest: int) -> None:
        self._messages: deque[list[bytes]] = deque(maxlen=longest)

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, stream: tuple[str, str], parts: list[bytes]) -> int:
        """Keep a message; returns how many it replaced."""
        replaced = int(len(self._messages) == self._messages.maxlen)
        self._messages.append(parts)
        return replaced

    def take(self) -> list[bytes]:
        """Remove and return the oldest message.

        Raises:
            IndexError: there is none.
        """
        return self._messages.popleft()
