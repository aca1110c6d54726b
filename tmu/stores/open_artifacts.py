"""Which artifact store the settings name: a folder, or S3."""

from pathlib import Path

from tmu.errors import ConfigError
from tmu.stores.artifacts import Artifacts, LocalArtifacts
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.s3_access import S3Access, bucket_and_prefix


def open_artifacts(url: str | None, workspace_root: Path, access: S3Access | None = None) -> Artifacts:
    """The store at `url`: None or a path is a local folder, `s3://bucket/prefix` an S3 one with a cache beside it."""
    home = workspace_root / ".tmu"
    if url is None or "://" not in url:
        return LocalArtifacts(workspace_root / url if url else home / "artifacts", workspace_root, owned=True)
    if not url.startswith("s3://"):
        raise ConfigError(f"The artifact store {url} is of an unknown type.", "Use a folder or s3://bucket/prefix.")
    bucket, prefix = bucket_and_prefix(url)
    return S3Artifacts(bucket, prefix, access, home / "cache", workspace_root, owned=True)
