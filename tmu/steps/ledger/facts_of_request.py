"""What the ledger tells a certificate of one request: dates, cut-overs, late legal holds, the log's head."""

from tmu.certificate.parts import Dates, LogHead, Served
from tmu.config import Config
from tmu.ledger.log import Head
from tmu.ledger.outbox import announce_head
from tmu.ledger.statement import statement
from tmu.ledger.store import Ledger
from tmu.provenance import now
from tmu.steps.ledger.log_heads import SYSTEM, noted_outside
from tmu.workspace import Workspace


class RequestFacts(Config):
    """late_holds: ids of legal holds that came after the erasing had begun. plan: the hash that was approved.

    second_person: whether somebody else than the requester approved it.
    """

    dates: Dates
    plan: str
    second_person: bool
    served: tuple[Served, ...]
    late_holds: tuple[str, ...]
    log: LogHead


def facts_of_request(workspace: Workspace, ledger: Ledger, request: str) -> RequestFacts:
    """Of a request that is completed or about to be. The head that it names is noted outside, too.

    Raises ConflictError before that, ChainError for a log that was changed.
    """
    with ledger.write(SYSTEM) as tx:
        announce_head(tx, "certificate")
    said = statement(ledger, request, ending=True)
    asked, head = said["request"], Head.parse(said["ledger"]["head"])
    outside = tuple(f"{each['place']}: {each['head']}, {each['noted']}" for each in noted_outside(workspace, ledger))
    return RequestFacts(
        dates=Dates(
            received=asked["received"],
            identified=asked["identity_verified"],
            due=asked["due"],
            extended=asked["extended"],
            done=asked["completed"] or now(),
        ),
        plan=said["plan"]["hash"],
        second_person=said["approval"]["by_a_second_person"],
        served=tuple(
            Served(
                version=each["version"], weights=each["weights"], since=each["at"], blocked=tuple(each["blocked"] or ())
            )
            for each in said["serving"]
        ),
        late_holds=tuple(each["hold"] for each in said["holds_too_late"]),
        log=LogHead(seq=head.seq, hash=head.hash, entries=tuple(said["ledger"]["entries_of_request"]), outside=outside),
    )
