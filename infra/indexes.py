"""The indexes of the tables. Imports no CDK, since `ops` reads it."""

ROSTER_INDEXES = {"by_course": ("course_id", "user_id"), "by_user": ("user_id", "course_id")}
"""Partition key and sort key of the indexes of table `enrollments`."""

ROSTER_ATTRIBUTES = ("type", "workflow_state", "state", "restricted_access", "course_section_id", "user_name")
"""Their other attributes. A write that changes none of these costs nothing on the indexes, so versions are left out."""

UNFINISHED_INDEX = "unfinished"
"""The sparse index of table `sis_batches`."""
