"""The keys under which a record store was built."""

from tmu.data.info import StoreInfo
from tmu.data.keys import Keys
from tmu.errors import ConfigError
from tmu.workspace import Workspace


def keys_of(workspace: Workspace, info: StoreInfo) -> Keys:
    """The keys of a store. Never makes a new secret: with one, nobody would ever be found. Raises ConfigError."""
    secret = workspace.settings.key_file or workspace.state("hash.key")
    if not info.simulated and not secret.exists():
        raise ConfigError(f"The secret of this store's keys is not at {secret}.", "Restore it from its backup.")
    keys = workspace.keys(simulated=info.simulated)
    if keys.id != info.key_id:
        raise ConfigError(f"The secret at {secret} is not the one of this store.", "Restore it from its backup.")
    return keys.under(info.id_rule)
