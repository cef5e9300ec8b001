"""The file of user names of a full run: built once from Canvas Data 2, stored in S3, and copied to local disk."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from tempfile import gettempdir

from functions.canvas.ids import shard_of
from functions.runtime import setting
from reconciliation.canvas_data import canvas_data
from reconciliation.names import Names
from reconciliation.run_files import NAMES, RunFiles

_PREFIX = "reconciliation-names-"


@contextmanager
def names_of_run(run: str, user_objects: Sequence[str]) -> Iterator[Names]:
    """The user names of run `run`, from the objects of its result of table `users`."""
    path = Path(gettempdir()) / f"{_PREFIX}{run}.sqlite"
    if not path.exists():
        forget_names()  # of another run
        unfinished = path.with_suffix(".unfinished")
        files = RunFiles(run)
        if files.names(NAMES):
            files.download(NAMES, unfinished)
        else:
            asyncio.run(_make(unfinished, user_objects))
            files.upload(unfinished, NAMES)
        unfinished.rename(path)
    with Names(path) as names:
        yield names


def forget_names() -> None:
    """Remove all files of names from the local disk, which persists between invocations."""
    for path in Path(gettempdir()).glob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)


async def _make(path: Path, user_objects: Sequence[str]) -> None:
    shard = shard_of(setting("ROOT_ACCOUNT_ID"))
    with Names(path) as names:
        async with canvas_data() as canvas:
            for object_id in user_objects:
                async with aclosing(canvas.lines(object_id)) as lines:
                    await names.add(lines, shard=shard)
