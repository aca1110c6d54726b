"""The places that the settings name."""

from tmu.heads.authority import authority_of
from tmu.heads.place import HeadPlace
from tmu.heads.s3_lock import S3Heads
from tmu.heads.time_stamp import TimeStamps
from tmu.stores.s3_access import s3_access
from tmu.workspace import Workspace


def s3_heads(workspace: Workspace) -> S3Heads | None:
    """The bucket of the heads, if one is named."""
    settings = workspace.settings
    if settings.heads_s3 is None:
        return None
    return S3Heads(settings.heads_s3, s3_access(settings), settings.heads_days, settings.heads_lock)


def places_of(workspace: Workspace) -> list[HeadPlace]:
    """Where heads are noted and can be read again. Raises ConfigError for a setting that cannot be used.

    Webhooks (`webhooks`) and certificates carry heads, too, but who holds those is asked by nobody here.
    """
    settings, bucket = workspace.settings, s3_heads(workspace)
    places: list[HeadPlace] = [] if bucket is None else [bucket]
    authority = authority_of(workspace)
    if authority is not None:
        folder = workspace.root / (settings.timestamps or workspace.state("timestamps"))
        inside = folder.resolve().is_relative_to(workspace.root.resolve())
        places.append(TimeStamps(authority, folder, inside))
    return places
