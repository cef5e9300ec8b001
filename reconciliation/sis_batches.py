"""Compares SIS imports in Canvas with the items of table `sis_batches`."""

from collections.abc import Iterable, Iterator
from itertools import islice

from functions.canvas.ids import local_id
from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.canvas_rest import ImportOnPage
from reconciliation.imports import StoredImport, import_version_time, judge_import
from reconciliation.items import KEYS_PER_REQUEST, Item, read_items
from reconciliation.judgement import Judgement
from reconciliation.verdict import Verdict

_ATTRIBUTES = ("sis_batch_id", "event_time", "workflow_state")


def unfinished_imports() -> list[int]:
    """The local ids of the root account's imports that are unfinished in the table, newest first."""
    # The index holds unfinished imports only, so a scan reads nothing else.
    pages = aws_client("dynamodb").get_paginator("scan")
    items = pages.paginate(TableName=setting("SIS_BATCHES_TABLE"), IndexName=setting("UNFINISHED_INDEX"))
    account_id = setting("ROOT_ACCOUNT_ID")
    ours = (
        local_id(item["sis_batch_id"]["N"]) for item in items.search("Items[]") if item["account_id"]["S"] == account_id
    )
    return sorted(ours, reverse=True)


def judge_imports(found: Iterable[ImportOnPage | None], *, number: int, now: str) -> Iterator[Judgement]:
    """The judgement of each import in `found`, in which `None` is one that Canvas no longer has.

    Args:
        found: the imports in Canvas.
        number: the number of the run.
        now: the current time; later versions are invalid.
    """
    found = iter(found)
    while some := list(islice(found, KEYS_PER_REQUEST)):
        items = _items(some)
        for each in some:
            yield _judge(each, items, number=number, now=now)


def _judge(found: ImportOnPage | None, items: dict[int, Item], *, number: int, now: str) -> Judgement:
    if found is None:
        return Judgement(verdict=Verdict.GONE)
    if found.answer is None:
        return Judgement(verdict=Verdict.UNKNOWN)
    item = items.get(found.answer.sis_batch_id)
    return judge_import(
        found.answer,
        StoredImport(str(item["workflow_state"]), str(item["event_time"])) if item else None,
        version_time=import_version_time(found.page.date, found.page.elapsed, number=number),
        now=now,
        root_account_id=setting("ROOT_ACCOUNT_ID"),
    )


def _items(found: Iterable[ImportOnPage | None]) -> dict[int, Item]:
    ids = {each.answer.sis_batch_id for each in found if each is not None and each.answer is not None}
    if not ids:
        return {}
    account_id = setting("ROOT_ACCOUNT_ID")
    keys: list[Item] = [{"account_id": account_id, "sis_batch_id": sis_batch_id} for sis_batch_id in ids]
    return {int(item["sis_batch_id"]): item for item in read_items(setting("SIS_BATCHES_TABLE"), keys, _ATTRIBUTES)}
