"""Models of the events `sis_batch_created` and `sis_batch_updated`: imports from a student information system (SIS)."""

from typing import ClassVar

from functions.canvas.event import CanvasEvent, CanvasModel, Detail, Metadata
from functions.canvas.fields import CanvasId
from functions.canvas.ids import global_id, shard_of

LIFE_CYCLE = (
    "initializing",
    "created",
    "importing",
    "cleanup_batch",
    "imported",
    "imported_with_messages",
    "aborted",
    "failed",
    "failed_with_messages",
    "restoring",
    "partially_restored",
    "restored",
)
"""Known values of `workflow_state`, in the order in which an import enters them; Canvas may add others.

Canvas sends no event for `aborted` and `cleanup_batch`. Source: canvas-lms, workflow of `SisBatch`.
"""

UNFINISHED = frozenset({"initializing", "created", "importing", "cleanup_batch", "restoring"})
"""States that an import is expected to leave. Unknown states count as finished."""


class SisBatchMetadata(Metadata):
    """Metadata with `root_account_id`, which determines the shard of the ids in the body."""

    root_account_id: CanvasId


class SisBatchBody(CanvasModel):
    """Body of both events. Ids are local to the shard."""

    sis_batch_id: CanvasId
    account_id: CanvasId
    workflow_state: str


class SisBatchDetail(Detail):
    """Canvas message of both events."""

    metadata: SisBatchMetadata
    body: SisBatchBody

    @property
    def global_account_id(self) -> str:
        """Global id of the account."""
        return global_id(self.body.account_id, shard=shard_of(self.metadata.root_account_id))


class SisBatchCreated(CanvasEvent):
    """An import was submitted."""

    event_name: ClassVar[str] = "sis_batch_created"
    detail: SisBatchDetail


class SisBatchUpdated(CanvasEvent):
    """An import entered another state."""

    event_name: ClassVar[str] = "sis_batch_updated"
    detail: SisBatchDetail
