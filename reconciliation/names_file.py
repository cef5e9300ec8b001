"""The file of users' names of a full run: made once from Canvas Data 2, kept with the run, copied to local disk."""

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
    """The names that run `run` knows, from the objects of its result of table `users`."""
    path = Path(gettempdir()) / f"{_PREFIX}{run}.sqlite"
    if not path.exists():
        forget_names()  # what another run left on this disk
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
    """Remove all such files from the local disk, which outlives an invocation."""
    for path in Path(gettempdir()).glob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)


async def _make(path: Path, user_objects: Sequence[str]) -> None:
    shard = shard_of(setting("ROOT_ACCOUNT_ID"))
    with Names(path) as names:
        async with canvas_data() as canvas:
            for object_id in user_objects:
                async with aclosing(canvas.lines(object_id)) as lines:
                    await names.add(lines, shard=shard)
