"""Where certificates lie: `.tmu/evidence/REQUEST/certificate.json`."""

import base64
import json
from pathlib import Path
from typing import Any

from tmu.errors import StorageError
from tmu.workspace import Workspace

NAME = "certificate.json"


def folder_of(workspace: Workspace, request: str) -> Path:
    """Where a request's evidence lies."""
    return workspace.state("evidence", request)


def has_certificate(workspace: Workspace, request: str) -> bool:
    """Whether a request's certificate is issued."""
    return (folder_of(workspace, request) / NAME).is_file()


def stored(workspace: Workspace, request: str) -> Path:
    """The certificate of a request. Raises StorageError where there is none."""
    path = folder_of(workspace, request) / NAME
    if "/" in request or not path.is_file():
        raise StorageError(
            f"There is no certificate of request {request}.", "`tmu certificate issue` says why, or issues it."
        )
    return path


def shown(path: Path) -> dict[str, Any]:
    """The statement of a certificate, without verifying it."""
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
