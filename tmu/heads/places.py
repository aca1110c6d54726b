"""The places that the settings name."""

from tmu.errors import ConfigError
from tmu.heads.place import HeadPlace
from tmu.heads.s3_lock import S3Heads
from tmu.heads.time_stamp import TimeStamps
from tmu.stores.s3_access import s3_access
from tmu.workspace import Workspace


def places_of(workspace: Workspace) -> list[HeadPlace]:
    """Where heads are noted and can be read again. Raises ConfigError for a setting that cannot be used.

    Webhooks (`webhooks`) and certificates carry heads, too, but who holds those is asked by nobody here.
    """
    settings = workspace.settings
    places: list[HeadPlace] = []
    if settings.heads_s3 is not None:
        places.append(S3Heads(settings.heads_s3, s3_access(settings), settings.heads_days, settings.heads_lock))
    if settings.timestamp_url is not None:
        if settings.timestamp_ca is None:
            raise ConfigError(
                "`timestamp_url` is set, but no `timestamp_ca`.",
                "Name a PEM file with the authority's root certificate: without it nobody can check its stamps.",
            )
        folder = workspace.root / (settings.timestamps or workspace.state("timestamps"))
        inside = folder.resolve().is_relative_to(workspace.root.resolve())
        places.append(TimeStamps(settings.timestamp_url, workspace.root / settings.timestamp_ca, folder, inside))
    return places
