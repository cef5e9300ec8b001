"""What a run of the bench found, and how it is kept."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Results:
    """Everything measured. Keys are the names of programs, kinds of events and numbers of workers.

    Attributes:
        surroundings: machine, versions and date, as they are printed.
        warm_instructions: for each program and kind, user-space instructions per event.
        warm_cpu_seconds: for each program and kind, CPU time per event.
        cold_instructions: for each program, user-space instructions from the interpreter's start to the first write.
        cold_cpu_seconds: likewise, CPU time.
        cold_peak_bytes: likewise, the most memory ever held.
        first_invoke_seconds: for each program, wall time of the first invocation in Lambda's own runtime.
        requests: for each program and kind, requests to DynamoDB per event.
        table_units: for each program and kind, capacity units per event that answers told of, on tables.
        index_units: likewise, on indexes.
        projected_change_units: capacity units of ours for an event that changes a projected attribute, tables first.
        zipped_bytes: for each program, the asset as it is uploaded.
        put_events_calls: of the relay, per event.
        events_per_second: by the number of workers.
    """

    surroundings: dict[str, str]
    warm_instructions: dict[str, dict[str, float]] = field(default_factory=dict)
    warm_cpu_seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    cold_instructions: dict[str, int] = field(default_factory=dict)
    cold_cpu_seconds: dict[str, float] = field(default_factory=dict)
    cold_peak_bytes: dict[str, int] = field(default_factory=dict)
    first_invoke_seconds: dict[str, float] = field(default_factory=dict)
    requests: dict[str, dict[str, float]] = field(default_factory=dict)
    table_units: dict[str, dict[str, float]] = field(default_factory=dict)
    index_units: dict[str, dict[str, float]] = field(default_factory=dict)
    projected_change_units: list[float] = field(default_factory=list)
    zipped_bytes: dict[str, int] = field(default_factory=dict)
    put_events_calls: float = 0.0
    events_per_second: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what `save` wrote."""
        stored: dict[str, Any] = json.loads(path.read_text())
        return cls(**stored)
