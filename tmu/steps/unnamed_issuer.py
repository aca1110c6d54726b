"""Whether certificates and letters will say who issues them."""

from tmu.settings import Settings

_NAMES = ("issuer", "issuer_contact")


def unnamed_issuer(settings: Settings) -> str | None:
    """What they will lack and which settings mend it, in two sentences; None where both are set."""
    unset = [name for name in _NAMES if getattr(settings, name) == Settings.model_fields[name].default]
    if not unset:
        return None
    lines = " and ".join(f'`{name} = "…"`' for name in unset)
    lacks = {"issuer": "who issues them", "issuer_contact": "where to ask"}
    what = " and ".join(lacks[name] for name in unset)
    return f"Certificates and letters do not say {what}. Write {lines} into tmu.toml before a certificate is issued."
