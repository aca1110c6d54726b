"""What all configurations share: frozen, strict about names, with a digest that new options do not change."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from tmu.files import digest_of

WHOLE = {"whole": True}
"""Context of `model_dump` under which a configuration names all of its options."""


class Config(BaseModel):
    """Base: frozen, strict about names, with a digest for cache keys and manifests."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return digest_of(self.model_dump(mode="json"))


class Grown(Config):
    """A configuration that was stored before it had all of its options.

    Dumped, it leaves out those that came later and are not used, so that the digests of earlier ones stay; with
    `context=WHOLE` it names all. later: the names of those options.
    """

    later: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {name for name in self.later if getattr(self, name) == fields[name].default}
        whole = bool(info.context and info.context.get("whole"))
        return {name: value for name, value in dump(self).items() if whole or name not in unused}
