"""The keys under which a record store was built."""

from collections.abc import Iterable

from tmu.data.info import StoreInfo
from tmu.data.keys import Keys
from tmu.errors import ConfigError
from tmu.files import canonical_json
from tmu.workspace import Workspace


def keys_of(workspace: Workspace, info: StoreInfo) -> Keys:
    """The keys of a store, and former ones before them; a later rotation does not touch it. Raises ConfigError.

    Never makes a new secret: with one, nobody would ever be found.
    """
    if info.simulated:
        keys = workspace.keys(simulated=True)
        found = keys if keys.id == info.key_id else None
    else:
        if not workspace.key_file.exists():
            raise ConfigError(
                f"The secret of this store's keys is not at {workspace.key_file}.", "Restore it from its backup."
            )
        found = workspace.key_ring.under(info.key_id)
    if found is None:
        raise ConfigError(
            f"The secret at {workspace.key_file} is not the one of this store.", "Restore it from its backup."
        )
    return found.under(info.id_rule)


def digest_of_records(keys: Keys, records: Iterable[str]) -> str:
    """What stands for record keys (hex) in a plan, and so in its hash: who has the keys alone can confirm no guess."""
    return keys.records(canonical_json(sorted(records)))
