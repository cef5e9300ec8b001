"""`sis_batch_created` and `sis_batch_updated`: how an import from the student information system stands."""

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
"""The states known today, in the order in which an import can enter them. An open set.

Source: canvas-lms, `SisBatch`'s workflow. Canvas sends no event for `aborted` and `cleanup_batch`.
"""

UNFINISHED = frozenset({"initializing", "created", "importing", "cleanup_batch", "restoring"})
"""The states that an import is expected to leave. One that we do not know is not among them: it may well be an end."""


class SisBatchMetadata(Metadata):
    """Imports are numbered per shard, and only `root_account_id` says which shard it is."""

    root_account_id: CanvasId


class SisBatchBody(CanvasModel):
    """Body of both events. Its ids are local to the shard."""

    sis_batch_id: CanvasId
    account_id: CanvasId
    workflow_state: str


class SisBatchDetail(Detail):
    """The message of both events."""

    metadata: SisBatchMetadata
    body: SisBatchBody

    @property
    def global_account_id(self) -> str:
        """The account's id, unique across shards."""
        return global_id(self.body.account_id, shard=shard_of(self.metadata.root_account_id))


class SisBatchCreated(CanvasEvent):
    """An import was handed in."""

    event_name: ClassVar[str] = "sis_batch_created"
    detail: SisBatchDetail


class SisBatchUpdated(CanvasEvent):
    """An import entered another state."""

    event_name: ClassVar[str] = "sis_batch_updated"
    detail: SisBatchDetail
