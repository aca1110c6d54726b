"""`Manifest`: all that a deletion's unlearned model was made from, and what came of it. By digest; it leads to nobody.

It is written before the purge, and stays when most of what it names is gone.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tmu.config import Config
from tmu.errors import DataError
from tmu.refs import AuditRef, DataRef, ModelRef, Ref, ReferencesRef, StatisticsRef
from tmu.steps.cases import UnlearnCase

NAME = "manifest.json"


class Environment(Config):
    """The compute environment that made the unlearned model, as its own records say.

    device: `cpu` or `cuda`. precision: as resolved there. capability: vector instructions that the processor's kernels
    used, such as `AVX512`. gpu: its name, or `none`. machine: such as `x86_64`. Empty: the record does not say. ranks:
    processes that trained one model together (docs/compute.md).
    """

    device: str
    precision: str
    threads: int
    ranks: int = 1
    torch: str = ""
    capability: str = ""
    gpu: str = ""
    machine: str = ""

    def differences(self, other: "Environment") -> list[str]:
        """What keeps the two from being of one device class: there equal inputs give equal bytes."""
        mine, theirs = self.model_dump(), other.model_dump()
        decides = [name for name in mine if name != ("capability" if self.device == "cuda" else "gpu")]
        return [f"{name}: {mine[name]} then, {theirs[name]} now" for name in decides if mine[name] != theirs[name]]


class Made(Config):
    """What came of it. failed_audit: of a method that gave way. statistics: of the model's ridge head. serves: the
    model that was put into service.
    """

    unlearned: ModelRef
    data: DataRef
    audit: AuditRef | None = None
    failed_audit: AuditRef | None = None
    references: ReferencesRef | None = None
    statistics: StatisticsRef | None = None
    serves: ModelRef | None = None


class Manifest(Config):
    """The manifest of one deletion.

    request: the deletion's id. at: when the model was unlearned. case: data revision, forget set, original, references,
    twin, and the configuration with its seed. code: digest of the sources that computed the model. lock: digest of the
    pinned packages. identity: digest of all that determines the model. moved: how far its parameters are from the
    original's, relative (0: not known). verdict: of the audit.
    """

    format: Literal[1] = 1
    request: str
    at: str
    case: UnlearnCase
    seeds: dict[str, int]
    code: str
    lock: str
    version: str
    identity: str
    environment: Environment
    moved: float = 0.0
    made: Made
    verdict: Literal["passed", "failed", "inconclusive", "none"] = "none"

    @property
    def inputs(self) -> dict[str, Ref]:
        """What the model was made from, by name."""
        case = self.case
        named = {
            "data revision": case.data, "forget set": case.forget, "original": case.original,
            "references": case.references, "twin": case.twin, "statistics": case.statistics,
        }  # fmt: skip
        return {name: ref for name, ref in named.items() if ref is not None}

    @property
    def outputs(self) -> dict[str, Ref]:
        """What came of it, by name."""
        made = self.made
        named = {
            "unlearned model": made.unlearned, "data revision after": made.data, "audit": made.audit,
            "failed audit": made.failed_audit, "references after": made.references, "model in service": made.serves,
            "statistics after": made.statistics,
        }  # fmt: skip
        return {name: ref for name, ref in named.items() if ref is not None}


def manifest_bytes(manifest: Manifest) -> bytes:
    """As it is written: sorted, indented JSON."""
    return (json.dumps(manifest.model_dump(mode="json"), sort_keys=True, indent=2) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises DataError where it is missing or damaged."""
    path = folder / NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"There is no {NAME} in {folder}.", "`tmu evidence` lists what is there.") from error
    except (ValidationError, ValueError) as error:
        raise DataError(f"{path} is damaged.", "Take it from the bundle in the evidence store.") from error
