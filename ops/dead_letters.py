"""What lies in the dead-letter queues of a stage."""

from typing import TYPE_CHECKING

from rich.table import Table

from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def count_dead_letters(stage: Stage) -> dict[str, int]:
    """The approximate number of messages in each dead-letter queue, by the queue's logical id."""
    sqs: SQSClient = stage.client("sqs")
    return {
        logical_id: int(
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"][
                "ApproximateNumberOfMessages"
            ]
        )
        for logical_id, url in stage.resources("processing", "AWS::SQS::Queue").items()
        if "DeadLetters" in logical_id
    }


def dead_letters_table(counts: dict[str, int]) -> Table:
    """The dead-letter queues that hold something."""
    table = Table("dead-letter queue", title="Dead letters", title_justify="left")
    table.add_column("messages", justify="right")
    for logical_id, count in counts.items():
        if count:
            table.add_row(logical_id, str(count))
    return table
