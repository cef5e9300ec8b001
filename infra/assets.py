"""What each asset of the functions holds: packages of ours, pinned requirements, and what is left out of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]

_LOADER = frozenset({"endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json"})
"""What botocore reads for every client."""

_POWERTOOLS = {
    "aws_lambda_powertools/utilities": frozenset({"__init__.py", "jmespath_utils", "parser", "typing"}),
    "aws_lambda_powertools/utilities/parser/models": frozenset({"__init__.py", "event_bridge.py"}),
}

# What no function imports (a test imports every handler from its asset), and what describes the files as they came.
_UNREAD = (
    "**/*.pyi",
    "*.dist-info/RECORD",
    "*.dist-info/sboms",
    ".lock",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/parser/envelopes",
    "bin",
    "pydantic/experimental",
    "pydantic/mypy.py",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
    "urllib3/contrib/pyopenssl.py",
)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """What one asset holds.

    Attributes:
        packages: folders of the checkout. The first is the asset's own, and has its `requirements.txt`.
        kept: of folders of which little is needed, what is needed.
        dropped: patterns of what else is not needed.
    """

    packages: tuple[Path, ...]
    kept: Mapping[str, frozenset[str]]
    dropped: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The folder of the package that the asset is for."""
        return self.packages[0]

    @property
    def requirements(self) -> Path:
        """The pinned requirements."""
        return self.source / "requirements.txt"


EVENT_PATH = Asset(
    packages=(_CHECKOUT / "functions",),
    kept={
        **_POWERTOOLS,
        # botocore carries the models of 400 services.
        "botocore/data": _LOADER | {"dynamodb", "events", "sqs"},
    },
    dropped=(*_UNREAD, "dateutil/rrule.py", "dateutil/zoneinfo", "pydynox/testing"),
)
"""Of the relay, the event functions and the import monitor. They start with every burst, so it is small."""

RECONCILIATION = Asset(
    # It reads events, and the items that events make, as the event path does.
    packages=(_CHECKOUT / "reconciliation", _CHECKOUT / "functions"),
    kept={
        **_POWERTOOLS,
        "botocore/data": _LOADER | {"dynamodb", "events", "s3", "secretsmanager", "sqs", "ssm", "stepfunctions"},
    },
    # What instructure-dap-client needs to write to databases and to a terminal: a third of all modules.
    dropped=(*_UNREAD, "markdown_it", "mdurl", "pygments", "pysqlsync", "tsv", "tsv2py.libs"),
)
"""Of the steps of a run. The clients of Canvas bring 40 packages, none of which the event path loads or ships."""
