"""`Certificate`: the predicate of the signed statement. Whoever makes one must have a PASS of both checks."""

from typing import Any, Literal

from pydantic import model_validator
from tmu_verify.statement import DATA, PREDICATE_TYPE, STATEMENT_TYPE, WEIGHTS

from tmu.certificate import parts
from tmu.config import Config
from tmu.errors import GateError
from tmu.search import server_files
from tmu.words import counted

NOT_PROVEN = (
    "Unlearning is approximate unless the method is `retrain` or `exact-head`: the audit bounds what a model still "
    "shows, by the attacks that were run, and with the power that it states.",
    "That no copy exists outside the stores that the inventory names.",
    "That the issuer's machines ran the code that the certificate names: the issuer vouches for it by the signature.",
    "What people remember, wrote down or passed on who have seen the records or a model's answers.",
)


class Certificate(Config):
    """All that is certified of one request. request: the ledger's id, or the deletion's own where there is no ledger.

    deletion: the id of the run that served it, maybe with others. time_stamp: the authority that is to stamp the signed
    bytes; None: none. Its fields are described in docs/certificate.md.
    """

    format: Literal[1] = 1
    request: str
    deletion: str
    issued: str
    issuer: parts.Issuer
    dates: parts.Dates
    grounds: tuple[parts.Group, ...]
    scope: parts.Scope
    inventory: tuple[parts.Entry, ...]
    models: tuple[parts.DerivedModel, ...]
    not_reached: tuple[parts.NotReached, ...]
    making: parts.Making
    audit: parts.Audit | None
    attacks: tuple[parts.Attack, ...]
    verification: parts.Check
    validation: parts.Check
    recipients: tuple[parts.Recipient, ...]
    served: tuple[parts.Served, ...]
    mark: parts.Mark
    not_proven: tuple[str, ...]
    log: parts.LogHead | None
    time_stamp: str | None = None

    @model_validator(mode="after")
    def _every_attack_is_named(self) -> "Certificate":
        if len({each.name for each in self.attacks}) != 6 or len(self.attacks) != 6:
            raise ValueError("each kind of attack is named once: run, not run, or out of scope")
        return self

    def refuse_without_pass(self) -> None:
        """Raise GateError unless both checks passed: nothing else is certified."""
        for name, check in (("verification", self.verification), ("validation", self.validation)):
            if check.result != "PASS":
                why = "; ".join(check.found) or counted(0, "finding")
                files = f"{server_files.HINT} " if server_files.NAME in why else ""
                raise GateError(
                    f"There is no certificate of request {self.request}: its {name} ended with {check.result}. {why}",
                    f"{files}`tmu verify-erasure` names what is left. Finish the purge with "
                    f"`tmu purge {self.request} --yes`, remove files of yours by hand, then run "
                    f"`tmu certificate issue {self.request}`.",
                )


def statement_of(certificate: Certificate, weights: str | None, files: dict[str, str]) -> dict[str, Any]:
    """The in-toto statement, JSON-ready. weights: SHA-256 of the model that forgot. files: of the evidence, by name.

    Raises GateError without PASS.
    """
    certificate.refuse_without_pass()
    digest = certificate.making.data_after
    subjects: list[dict[str, Any]] = [{"name": DATA, "digest": {"md5": digest.removesuffix(".dir")}}]
    if weights is not None:
        subjects.append({"name": WEIGHTS, "digest": {"sha256": weights}})
    subjects += [{"name": name, "digest": {"sha256": value}} for name, value in sorted(files.items())]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": certificate.model_dump(mode="json"),
    }
