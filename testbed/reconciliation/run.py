"""Executes the steps of a run with the pure functions of the reconciliation, without AWS."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.canvas.fields import format_timestamp
from functions.canvas.ids import shard_of
from functions.routes import Family
from reconciliation import as_of as times
from reconciliation.comparison import ITEM_ATTRIBUTES, Candidate, compare
from reconciliation.correction import Correction
from reconciliation.imports import SisImportAnswer, StoredImport, import_version_time, judge_import
from reconciliation.judgement import Result, User, judge
from reconciliation.rows import FAMILY_OF, CanvasTable, read_row
from reconciliation.verdict import Verdict
from testbed.canvas.live_events import seconds
from testbed.canvas.rows import SisImport, Version
from testbed.canvas.rows import User as CanvasUser
from testbed.reconciliation.truth import Record, TableTruth, global_id, verdict_on_import

MARGIN = timedelta(hours=10)
WINDOW = timedelta(days=22)

Item = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Result of a DAP query of one table: its rows, and the lines as served."""

    at: datetime
    records: tuple[Record, ...]
    lines: tuple[bytes, ...]


@dataclass(frozen=True)
class Made:
    """A correction, and the time at which Canvas committed its content."""

    correction: Correction
    committed_at: datetime


@dataclass(kw_only=True)
class Run:
    """A run and the results of its steps.

    Attributes:
        number: unique number of the run.
        full: whether it compares whole tables, and names.
        root_account_id: global id of the root account.
        answers: results of its DAP queries, which never change.
        users: users in the snapshot of a full run, by row id.
        digits: digits of fractions of seconds in timestamps of Canvas Data 2.
        counts: number of each verdict by family, after the last step.
        truths: oracles of the verdicts on rows of Canvas Data 2 by family, after the last step.
        import_truth: expected verdicts on imports.
        contradictions: number of rows that lack a change from before the as-of time.
        published: whether the last step was taken.
        corrections: number of published corrections.
    """

    number: int
    full: bool
    root_account_id: str
    answers: Mapping[CanvasTable, Answer]
    users: Mapping[int, CanvasUser]
    digits: int
    counts: dict[Family, Counter[str]] = field(default_factory=dict)
    truths: dict[Family, TableTruth] = field(default_factory=dict)
    import_truth: list[str] = field(default_factory=list)
    contradictions: int = 0
    published: bool = False
    corrections: int = 0
    _compared: dict[CanvasTable, list[tuple[Candidate, datetime]]] = field(default_factory=dict)
    _found: dict[CanvasTable, Counter[str]] = field(default_factory=dict)
    _read: dict[CanvasTable, dict[str, Item]] = field(default_factory=dict)
    _newest: dict[CanvasTable, str | None] = field(default_factory=dict)
    _imports: list[tuple[str, Made | None]] = field(default_factory=list)

    @property
    def compared(self) -> bool:
        """Whether the comparison is done."""
        return bool(self._compared)

    @property
    def shard(self) -> int:
        """Number of the shard of the root account."""
        return shard_of(self.root_account_id)

    def compare(self, items: Mapping[str, Item]) -> None:
        """Compare both tables with `items`. A repeated comparison replaces the results of the first."""
        for table, answer in self.answers.items():
            read = {key: _projected(item, ITEM_ATTRIBUTES[table]) for key, item in items.items()}
            found: Counter[str] = Counter()
            candidates, newest = [], None
            for record, line in zip(answer.records, answer.lines, strict=True):
                row = read_row(line, table, shard=self.shard)
                if isinstance(row, Verdict):
                    found[row.value] += 1
                    continue
                newest = times.newest_stamp(row.stamps, format_timestamp(answer.at), newest)
                candidate = compare(row, read.get(row.enrollment_id), full=self.full)
                if candidate is None:
                    found[Verdict.SAME.value] += 1
                else:
                    candidates.append((Candidate.from_json(candidate.to_json()), record.version.committed_at))
            self._compared[table], self._found[table] = candidates, found
            self._read[table], self._newest[table] = read, newest

    def compare_imports(
        self, versions: Mapping[int, Version[SisImport]], items: Mapping[int, Item], *, date: datetime
    ) -> None:
        """Compare imports, as the REST API returned them at `date`, with `items`."""
        self._imports = []
        self.import_truth = [
            verdict_on_import(version.row, items.get(key), date=date, now=date, number=self.number)
            for key, version in versions.items()
        ]
        version_time = import_version_time(date.replace(microsecond=0), timedelta(0), number=self.number)
        for key, version in versions.items():
            if version.row is None:
                self._imports.append((Verdict.GONE.value, None))
                continue
            judgement = judge_import(
                _import_answer(version.row),
                StoredImport(str(items[key]["workflow_state"]), str(items[key]["event_time"]))
                if key in items
                else None,
                version_time=version_time,
                now=format_timestamp(date),
                root_account_id=self.root_account_id,
            )
            made = None if judgement.correction is None else Made(judgement.correction, version.committed_at)
            self._imports.append((judgement.verdict.value, made))

    def decide(self, now: datetime) -> list[Made]:
        """Judge the differences and return the corrections. Each call resets the counts."""
        self.counts = {"import": Counter(verdict for verdict, _ in self._imports)}
        self.contradictions = 0
        known = {global_id(key, self.shard): User(user.name, user.uuid) for key, user in self.users.items()}
        corrections = [made for _, made in self._imports if made is not None]
        for table, candidates in self._compared.items():
            family, answer = FAMILY_OF[table], self.answers[table]
            counts = self.counts[family] = self._found[table].copy()
            at = format_timestamp(answer.at)
            result = Result(
                at=at,
                as_of=times.as_of(at, self._newest[table], margin_hours=MARGIN / timedelta(hours=1)),
                number=self.number,
                now=format_timestamp(now),
                root_account_id=self.root_account_id,
            )
            for candidate, committed_at in candidates:
                user = known.get(str(candidate.body.get("user_id")))
                judgement = judge(candidate, result, user=user)
                counts[judgement.verdict.value] += 1
                self.contradictions += judgement.contradicts
                if judgement.correction is not None:
                    correction = Correction.from_json(judgement.correction.to_json())
                    corrections.append(Made(correction, committed_at))
            self.truths[family] = TableTruth(
                family=family,
                records=answer.records,
                items=self._read[table],
                users=self.users if self.full else None,
                at=answer.at,
                now=now,
                number=self.number,
                margin=MARGIN,
                shard=self.shard,
                digits=self.digits,
            )
        self.corrections = len(corrections)
        return corrections


def _projected(item: Item, attributes: tuple[str, ...]) -> Item:
    return {name: item[name] for name in attributes if name in item}


def _import_answer(row: SisImport) -> SisImportAnswer:
    return SisImportAnswer(
        sis_batch_id=row.id,
        workflow_state=row.workflow_state,
        ended_at=seconds(row.ended_at),
        updated_at=seconds(row.updated_at),
    )
