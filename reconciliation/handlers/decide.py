"""Handler that judges the candidates, once the as-of times are known, and writes corrections and the report."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.as_of import as_of
from reconciliation.comparison import Candidate
from reconciliation.judgement import Result, User, judge
from reconciliation.names_file import forget_names, names_of_run
from reconciliation.report import Counts
from reconciliation.rows import FAMILY_OF, CanvasTable
from reconciliation.run_files import COMPARED, CORRECTIONS, DECIDED, IMPORTS, JOBS, REPORT, Lines, RunFiles
from reconciliation.step import RunState, must_hand_on, now, step
from reconciliation.summary import refuse_contradiction, refuse_too_many, report_of, sum_counts

Lookup = Callable[[str], User | None]

_LINES = ".jsonl.gz"


class Progress(TypedDict):
    """The progress of the step.

    Attributes:
        now: when the step began; later versions are invalid.
        at: by table of Canvas Data 2, the time until which the lake reports the result as complete.
        as_of: by table of Canvas Data 2, the as-of time of the result.
        next: the number of the next file.
        done: whether all files are decided.
        corrections: the number of corrections of the run, once all files are decided.
        files: the number of files of corrections, once all files are decided.
    """

    now: str
    at: dict[CanvasTable, str]
    as_of: dict[CanvasTable, str]
    next: int
    done: bool
    corrections: int
    files: int


class DecideState(RunState, total=False):
    """The state of the run, with the progress of this step."""

    decide: Progress


@step
def handler(payload: DecideState, context: LambdaContext) -> DecideState:
    """Decide files from `decide.next` on, until the invocation runs out of time; after the last, write the report.

    It raises LakeContradicts and TooManyCorrections after the report was written.
    """
    files = RunFiles(payload["run"])
    compared = files.names(COMPARED)
    jobs = files.read_json(JOBS)
    progress = payload.get("decide")
    if progress is None or "as_of" not in progress:
        progress = _begin(files, compared, at={table: jobs[table]["at"] for table in FAMILY_OF})
    with ExitStack() as stack:
        lookup: Lookup | None = None
        if payload["full"] and progress["next"] < len(compared):
            lookup = stack.enter_context(names_of_run(payload["run"], jobs["users"]["objects"])).lookup
        while progress["next"] < len(compared):
            name = compared[progress["next"]]
            _decide(files, name, _result(payload, progress, _table_of(name)), lookup, publishes=not payload["dry_run"])
            progress = {**progress, "next": progress["next"] + 1}
            if must_hand_on(context):
                return {**payload, "decide": progress}
    forget_names()
    _take_over_imports(files, publishes=not payload["dry_run"])
    corrections = _report(files, payload, progress)
    written = len(files.names(CORRECTIONS))
    return {**payload, "decide": {**progress, "done": True, "corrections": corrections, "files": written}}


def _begin(files: RunFiles, compared: Sequence[str], *, at: Mapping[CanvasTable, str]) -> Progress:
    """Compute the as-of time of each table from the newest stamp in its files."""
    newest: dict[CanvasTable, str | None] = dict.fromkeys(at)
    for name, header in zip(compared, files.read_headers(compared), strict=True):
        table = _table_of(name)
        newest[table] = max(newest[table] or "", header["newest"] or "") or None
    margin_hours = float(setting("MARGIN_HOURS"))
    return {
        "now": now(),
        "at": dict(at),
        "as_of": {table: as_of(at[table], newest[table], margin_hours=margin_hours) for table in at},
        "next": 0,
        "done": False,
        "corrections": 0,
        "files": 0,
    }


def _result(run: RunState, progress: Progress, table: CanvasTable) -> Result:
    return Result(
        at=progress["at"][table],
        as_of=progress["as_of"][table],
        number=run["number"],
        now=progress["now"],
        root_account_id=setting("ROOT_ACCOUNT_ID"),
    )


def _decide(files: RunFiles, name: str, result: Result, lookup: Lookup | None, *, publishes: bool) -> None:
    """Judge the candidates of the file `name`; write its counts and corrections."""
    lines = files.read_lines(name)
    header = json.loads(next(lines))
    counts = Counts(rows=header["rows"], verdicts=Counter(header["verdicts"]))
    corrections = Lines()
    for line in lines:
        candidate = Candidate.from_json(line)
        user_id = candidate.body.get("user_id")
        user = lookup(str(user_id)) if lookup is not None and user_id is not None else None
        judgement = judge(candidate, result, user=user)
        counts.add(judgement)
        if judgement.correction is not None:
            corrections.add(judgement.correction.to_json())
    table = _table_of(name)
    place = f"{table}-{name.removeprefix(f'{COMPARED}{table}/').removesuffix(_LINES)}"
    if publishes and corrections.count:
        files.write_lines(f"{CORRECTIONS}{place}{_LINES}", corrections)
    files.write_json(f"{DECIDED}{place}.json", {"family": FAMILY_OF[table], **counts.to_dict()})


def _take_over_imports(files: RunFiles, *, publishes: bool) -> None:
    """Copy the counts and corrections of imports, which were judged when they were compared."""
    lines = files.read_lines(IMPORTS)
    counts = json.loads(next(lines))
    corrections = Lines()
    for line in lines:
        corrections.add(line.decode())
    if publishes and corrections.count:
        files.write_lines(f"{CORRECTIONS}{IMPORTS}", corrections)
    files.write_json(f"{DECIDED}imports.json", {"family": "import", **counts})


def _report(files: RunFiles, run: RunState, progress: Progress) -> int:
    """Write the report, check the result, and return the number of corrections."""
    counts = sum_counts(files)
    report = report_of(run, counts, at=progress["at"], as_of=progress["as_of"])
    files.write_json(REPORT, report.to_dict())
    refuse_contradiction(counts)
    refuse_too_many(run, counts)
    return report.corrections


def _table_of(name: str) -> CanvasTable:
    found = name.removeprefix(COMPARED).partition("/")[0]
    return next(table for table in FAMILY_OF if table == found)
