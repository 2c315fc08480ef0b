"""Results beside the packets they were made of."""

from __future__ import annotations

from argos.publishing.jsonl import JsonlWriter
from argos.recording.recorder import PacketRecorder
from argos.types import Result


class RecordedResults:
    """Writes each result to the ``.jsonl`` beside the segment that holds its frame, so both are deleted together.

    Args:
        recorder: of the packets.
    """

    def __init__(self, recorder: PacketRecorder) -> None:
        self._recorder = recorder
        self._stem: str | None = None
        self._writer: JsonlWriter | None = None

    def write(self, result: Result) -> None:
        """Append one result; before the first key picture there is nothing it could stand beside.

        Raises:
            PublishError: the disk is full or gone; what was written before stays.
        """
        stem = self._recorder.stem_at(result.captured_ns)
        if stem is None:
            return
        if self._writer is None or stem != self._stem:
            self.close()
            self._writer, self._stem = JsonlWriter(self._recorder.folder / f"{stem}.jsonl"), stem
        self._writer.write(result)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None
