"""The contents of the Lambda assets: packages, pinned requirements, and the files that are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]

_LOADER = frozenset({"endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json"})
"""Files that botocore reads for every client."""

_POWERTOOLS = {
    "aws_lambda_powertools/utilities": frozenset({"__init__.py", "jmespath_utils", "parser", "typing"}),
    "aws_lambda_powertools/utilities/parser/models": frozenset({"__init__.py", "event_bridge.py"}),
}

# Files that no function imports (a test imports every handler from its asset), and metadata of the installation.
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
    """The contents of one asset.

    Attributes:
        packages: folders of the checkout. The first one contains the `requirements.txt` of the asset.
        kept: by folder, the entries to keep. All others in the folder are removed.
        dropped: patterns of other entries to remove.
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
        # botocore contains the models of 400 services.
        "botocore/data": _LOADER | {"dynamodb", "events", "sqs"},
    },
    dropped=(*_UNREAD, "dateutil/rrule.py", "dateutil/zoneinfo", "pydynox/testing"),
)
"""The asset of the relay, the event functions and the import monitor. It is small, since each burst starts them."""

RECONCILIATION = Asset(
    # It uses the models and versions of the event path.
    packages=(_CHECKOUT / "reconciliation", _CHECKOUT / "functions"),
    kept={
        **_POWERTOOLS,
        "botocore/data": _LOADER | {"dynamodb", "events", "s3", "secretsmanager", "sqs", "ssm", "stepfunctions"},
    },
    # Requirements of instructure-dap-client for databases and terminals: a third of all modules.
    dropped=(*_UNREAD, "markdown_it", "mdurl", "pygments", "pysqlsync", "tsv", "tsv2py.libs"),
)
"""The asset of the reconciliation. The clients of Canvas need 40 packages, which the event path does without."""
