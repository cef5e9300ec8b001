"""Commands in the output of `ops show` can be pasted from a terminal of any width."""

import io

import boto3
from rich.console import Console

from canvas_live_state import Reader
from infra.settings import Settings
from ops import tables
from ops.stage import Stage
from testbed.tables import Tables


class StageWithoutStacks(Stage):
    """A stage with the tables of the test."""

    def table(self, name):
        return name

    @property
    def reader(self):
        return Reader(enrollments_table="enrollments", sis_batches_table="sis_batches")


def test_the_equivalent_aws_command_is_one_line(aws, prod):
    # GIVEN a terminal of 40 columns
    Tables(prod.data)
    written = io.StringIO()
    console = Console(file=written, width=40)

    # WHEN a roster is shown, THEN the command below it is one line
    stage = StageWithoutStacks(Settings(stage="test"), boto3.Session(region_name="us-east-1"))
    console.print(tables.course(stage, "21070000000000565"), crop=False)
    (command,) = [line for line in written.getvalue().splitlines() if line.startswith("aws dynamodb")]
    assert "--index-name by_course" in command
    assert "21070000000000565" in command
