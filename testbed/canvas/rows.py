"""Rows of the Canvas database, and tables that keep all versions of them.

Columns are those of Canvas Data 2. Row ids are local to the shard; those of users of another shard are global. Source:
`EntityRelationshipGraph` of the dataset documentation of Canvas Data 2.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person."""

    id: int
    name: str
    sortable_name: str
    uuid: str
    workflow_state: str = "registered"
    merged_into_user_id: int | None = None
    deleted_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course. The state of an invited or active enrollment depends on its dates."""

    id: int
    name: str
    uuid: str
    account_id: int = 1
    workflow_state: str = "available"
    start_at: datetime | None = None
    conclude_at: datetime | None = None
    restrict_student_future_view: bool = False
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a course. `nonxlist_course_id` is the original course while it is cross-listed."""

    id: int
    course_id: int
    name: str
    workflow_state: str = "active"
    nonxlist_course_id: int | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """The role of a user in a section."""

    id: int
    course_id: int
    course_section_id: int
    user_id: int
    type: str
    role_id: int
    workflow_state: str
    associated_user_id: int | None = None
    limit_privileges_to_course_section: bool | None = None
    sis_batch_id: int | None = None
    self_enrolled: bool | None = None
    grade_publishing_status: str = "unpublished"
    total_activity_time: int = 0
    last_activity_at: datetime | None = None
    completed_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentState:
    """The effective state of an enrollment, a cache. The flags `*_is_current` are its validity."""

    enrollment_id: int
    state: str | None = None
    state_started_at: datetime | None = None
    state_valid_until: datetime | None = None
    state_is_current: bool = True
    restricted_access: bool = False
    access_is_current: bool = True
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SisImport:
    """A SIS import: a row of `sis_batches`, which Canvas Data 2 does not publish."""

    id: int
    workflow_state: str
    progress: int = 0
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime


RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Version(Generic[RowT]):
    """A row after one commit, `None` where the commit removed it."""

    committed_at: datetime
    row: RowT | None


class Table(Generic[RowT]):
    """A table of the Canvas database with the history of its rows."""

    def __init__(self) -> None:
        self.history: dict[int, list[Version[RowT]]] = {}
        """All versions of each row by its key, oldest first."""

    def __getitem__(self, key: int) -> RowT:
        """Current row.

        Raises:
            KeyError: the row does not exist, or was removed.
        """
        row = self.history[key][-1].row
        if row is None:
            raise KeyError(key)
        return row

    def __contains__(self, key: int) -> bool:
        versions = self.history.get(key)
        return versions is not None and versions[-1].row is not None

    def rows(self) -> Iterator[RowT]:
        """All current rows."""
        return (versions[-1].row for versions in self.history.values() if versions[-1].row is not None)

    def version_at(self, key: int, moment: datetime) -> Version[RowT] | None:
        """Last version of a row committed at or before `moment`, `None` before its first commit."""
        versions = self.history.get(key, [])
        number = bisect_right(versions, moment, key=lambda version: version.committed_at)
        return versions[number - 1] if number else None

    def commit(self, key: int, row: RowT | None, moment: datetime) -> None:
        """Store a version of a row; `None` removes it."""
        self.history.setdefault(key, []).append(Version(moment, row))
