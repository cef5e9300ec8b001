"""Delivers events and corrections to the tables, late and in batches; no correction may set a record back."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import cycle, islice
from typing import Any, Protocol

from functions.canvas.fields import format_timestamp
from functions.routes import CORRECTION_SOURCE, Family
from testbed.canvas.database import Announcement
from testbed.canvas.school import School
from testbed.reconciliation.run import Made
from testbed.reconciliation.truth import Content, content_of_item, content_of_row, differ

Message = dict[str, Any]
Items = Mapping[tuple[str, ...], Mapping[str, Any]]
Contents = tuple[Items, Items]
Place = tuple[Family, tuple[str, ...]]
"""Family and key of a record."""

BATCH = 10
"""Maximum number of messages in a batch."""

_AT_ONCE = (timedelta(0),)


class Tables(Protocol):
    """Both tables, and the functions that write them."""

    def deliver_batch(self, messages: list[Message]) -> list[str]:
        """Deliver messages of one event type as one batch; return `Done`, `Rejected` or `Retried` for each."""

    def contents(self) -> Contents:
        """Items of both tables, by key: enrollments, then imports."""

    def clear(self) -> None:
        """Remove all items."""

    def at_the_time_of(self, now: Callable[[], datetime]) -> AbstractContextManager[None]:
        """Patch the clock of the functions with `now`."""


class SetBack(AssertionError):
    """Raised where a correction replaced compared attributes by older ones."""


@dataclass(frozen=True)
class Committed:
    """Content of an event, and the time at which Canvas committed it."""

    content: Content
    committed_at: datetime


class Deliveries:
    """Messages in transit from a school, or from a run, to the tables.

    Attributes:
        archive: accepted messages, in the order of their delivery.
        rejected: all other delivered messages.
        corrected: number of corrections that replaced a compared attribute.
    """

    def __init__(self, school: School, tables: Tables) -> None:
        self.archive: list[Message] = []
        self.rejected: list[Message] = []
        self.corrected = 0
        self._school = school
        self._tables = tables
        self._contents: Contents | None = None
        self._due: list[tuple[datetime, int, Message]] = []
        self._sent = 0
        self._committed: defaultdict[tuple[Place, str], list[Committed]] = defaultdict(list)

    def contents(self) -> Contents:
        """Items of both tables, by key."""
        if self._contents is None:
            self._contents = self._tables.contents()
        return self._contents

    def announce(self, delays: Sequence[timedelta] = _AT_ONCE, *, twice: bool = False) -> None:
        """Send the new events of the school, each with the next of `delays`."""
        announcements = self.take_announcements()
        for announcement in announcements:
            self._remember(announcement)
        self.send([announcement.event for announcement in announcements], delays, copies=2 if twice else 1)

    def take_announcements(self) -> list[Announcement]:
        """Take the new events of the school without sending them."""
        first = len(self._school.announcements) - len(self._school.take_events())
        return self._school.announcements[first:]

    def publish(self, corrections: Iterable[Made], delays: Sequence[timedelta]) -> None:
        """Send corrections, each with the next of `delays`."""
        messages = []
        for made in corrections:
            family, _ = place = self._place(made.correction.detail)
            committed = Committed(content_of_item(made.correction.body, family), made.committed_at)
            self._committed[place, made.correction.event_time].append(committed)
            messages.append(made.correction.detail)
        self.send(messages, delays)

    def send(self, messages: Iterable[Message], delays: Sequence[timedelta] = _AT_ONCE, *, copies: int = 1) -> None:
        """Send messages, each with the next of `delays`."""
        waits = cycle(delays or _AT_ONCE)
        for message in messages:
            for delay in islice(waits, copies):
                heappush(self._due, (self._school.now + delay, self._sent, message))
                self._sent += 1

    def drain(self) -> None:
        """Advance the clock until all messages are delivered."""
        if self._due:
            self._school.now = max(self._school.now, *(due for due, _, _ in self._due))
        self.deliver()

    def deliver(self) -> None:
        """Deliver the messages that are due, in batches."""
        due = []
        while self._due and self._due[0][0] <= self._school.now:
            due.append(heappop(self._due)[2])
        for batch in self._batches(due):
            before = self.contents() if _is_correction(batch[0]) else None
            self._contents = None
            with self._tables.at_the_time_of(lambda: self._school.now):
                outcomes = self._tables.deliver_batch(batch)
            for message, outcome in zip(batch, outcomes, strict=True):
                (self.archive if outcome == "Done" else self.rejected).append(message)
            if before is not None:
                after = self.contents()
                for message in batch:
                    self._check_correction(message, before, after)

    def _batches(self, messages: Iterable[Message]) -> Iterator[list[Message]]:
        """Group messages by event type. A batch has at most one correction of each record."""
        filling: dict[tuple[str, bool], list[Message]] = {}
        for message in messages:
            key = message["metadata"]["event_name"], _is_correction(message)
            batch = filling.setdefault(key, [])
            taken = key[1] and self._place(message) in map(self._place, batch)
            if taken or len(batch) == BATCH:
                yield filling.pop(key)
            filling.setdefault(key, []).append(message)
        yield from filling.values()

    def _remember(self, announcement: Announcement) -> None:
        event, moment = announcement.event, announcement.committed_at
        family, _ = place = self._place(event)
        if family == "import":
            content: Content = {"workflow_state": event["body"]["workflow_state"]}
        else:
            table = self._school.enrollments if family == "enrollment" else self._school.enrollment_states
            version = table.version_at(self._school.row_id(event["body"]["enrollment_id"]), moment)
            assert version is not None
            assert version.row is not None
            content = content_of_row(version.row, self._school.shard)
        event_time = format_timestamp(datetime.fromisoformat(event["metadata"]["event_time"]))
        self._committed[place, event_time].append(Committed(content, moment))

    def _place(self, message: Message) -> Place:
        name, body = message["metadata"]["event_name"], message["body"]
        if name.startswith("sis_batch"):
            return "import", (self._school.root_account_id, body["sis_batch_id"])
        return ("state" if name.startswith("enrollment_state") else "enrollment"), (body["enrollment_id"],)

    def _check_correction(self, message: Message, before: Contents, after: Contents) -> None:
        family, key = place = self._place(message)
        table = family == "import"
        old, new = before[table].get(key, {}), after[table].get(key, {})
        name = "event_time" if table else f"{family}_event_time"
        event_time = message["metadata"]["event_time"]
        if name not in old or new[name] != event_time:
            return
        was, now = content_of_item(old, family), content_of_item(new, family)
        if not differ(was, now):
            return
        self.corrected += 1
        replaced, by = self._since(place, old[name], was), self._since(place, event_time, now)
        if by < replaced:
            raise SetBack(f"{family}: {was} of {replaced} replaced by {now} of {by}")

    def _since(self, place: Place, event_time: str, content: Content) -> datetime:
        """The time at which Canvas committed the content of an item, as far as it is compared."""
        return min(s.committed_at for s in self._committed[place, event_time] if not differ(s.content, content))


def _is_correction(message: Message) -> bool:
    return bool(message["metadata"]["producer"] == CORRECTION_SOURCE)
