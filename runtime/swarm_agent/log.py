"""The agent's log: a JSON object a line, for the journal."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import Any, Dict, Optional, TextIO


class Log:
    """Writes events. Never pass secrets to it."""

    def __init__(self, stream: Optional[TextIO] = None, **always: Any) -> None:
        """``always`` are fields of each line, such as the cluster's name."""
        self._stream = stream or sys.stdout
        self._always = always

    def info(self, message: str, **fields: Any) -> None:
        """A normal event."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something must be waited for, or tried again."""
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """An operator must act."""
        self._write("error", message, fields)

    def once(self, said: Dict[str, str], subject: str, sentence: str) -> None:
        """Warn, unless ``said`` has the sentence as the last about its subject. An empty sentence ends the subject."""
        if sentence and said.get(subject) != sentence:
            self.warning(sentence)
        said[subject] = sentence

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": time, "level": level, "message": message, **self._always, **fields}
        self._stream.write(json.dumps(line, default=str) + "\n")
        self._stream.flush()
