"""What a deletion was made of, so that it can be made again; and what came of making it again."""

from typing import Any, Literal

from tmu.config import Config, Params
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, ReferencesRef, TwinRef

Outcome = Literal["equal", "close", "differs", "gone"]


class Made(Config):
    """The manifest of a deletion: all that determines its model, and the digests of what came out. No keys.

    code: digest of the sources that the unlearning rests on. packages: digest of the lock. lane: device class,
    precision, threads; hardware: as it was then.
    """

    format: Literal[1] = 1
    request: str
    before: DataRef
    after: DataRef
    forget: ForgetRef
    base: ModelRef
    references: ReferencesRef | None
    twin: TwinRef | None
    params: Params
    code: str
    packages: str
    lane: dict[str, Any]
    hardware: dict[str, Any]
    unlearned: ModelRef
    audit: AuditRef | None


class Part(Config):
    """One thing that was looked at: sound, gone (destroyed or lost), or damaged. text: what was found."""

    name: str
    state: Literal["sound", "gone", "damaged"]
    text: str = ""


class Replayed(Config):
    """What a replay found.

    outcome: equal: bit for bit; close: on another device class, within `apart`'s bound; differs; gone: what it needs is
    not there any more. same_class, same_code: as when it was made. apart: the largest difference of a weight, over the
    largest weight; None where it was not made again.
    """

    request: str
    outcome: Outcome
    same_class: bool
    same_code: bool
    apart: float | None = None
    weights: str
    again: str | None = None
    parts: tuple[Part, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in words."""
        said = [_OUTCOMES[self.outcome]]
        if not self.same_code:
            said.append("The code is not the one that made it: a difference may come from that.")
        if not self.same_class:
            said.append("The device class is another one: bits may differ there.")
        missing = [part.name for part in self.parts if part.state != "sound"]
        return (*said, *([f"Not there: {', '.join(missing)}."] if missing else []))


_OUTCOMES = {
    "equal": "The unlearned model was made again, and is equal bit for bit.",
    "close": "The unlearned model was made again on another device class, and is equal within the tolerance.",
    "differs": "The unlearned model was made again, and is another one.",
    "gone": "The unlearned model cannot be made again: what it needs is not there any more. The rest was checked.",
}
