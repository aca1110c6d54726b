"""The two checks: verification by who erased, validation by the independent search."""

from collections.abc import Sequence

from tmu import __version__
from tmu.certificate.parts import Check, NotReached
from tmu.files import digest_of
from tmu.provenance import now
from tmu.purge.summary import PurgeSummary
from tmu.search.report import SearchReport
from tmu.words import counted

_VERIFIER = "tmu, in the deletion's run: the principal that erased"


def verification_of(purge: PurgeSummary | None, found: Sequence[str]) -> Check:
    """By the principal that erased. found: what it saw to hold in the stores, in sentences; none: it did not look."""
    tool = f"tmu {__version__}"
    if purge is None or not purge.verified:
        why = "No purge was carried out and looked at again."
        return Check(by=_VERIFIER, tool=tool, at=now(), result="UNKNOWN", found=(why,))
    if not purge.passed:
        left = sum(line.count for line in purge.lines if line.result not in ("gone", "stays"))
        why = f"The purge left {counted(left, 'copy', 'copies')} behind."
        return Check(by=_VERIFIER, tool=tool, at=purge.verified, result="FAILED", found=(why,))
    stores = f"{counted(len(purge.places), 'store')} were asked again after the purge: nothing is left but what stays."
    result = "PASS" if found else "UNKNOWN"
    return Check(by=_VERIFIER, tool=tool, at=purge.verified, result=result, found=(*found, stores))


def accepted_unread(report: SearchReport | None) -> tuple[NotReached, ...]:
    """What the search could not read and a rule accepts, with the rule. Addresses stay in the report."""
    accepted = [each for each in report.not_looked_at if each.rule] if report else []
    return tuple(
        NotReached(what=f"{each.haystack}: {each.why}", expires=each.until or "not known", restore=each.rule)
        for each in accepted
    )


def _unread(report: SearchReport) -> list[str]:
    """What could not be looked at, and why; addresses stay in the report."""
    count = f"{counted(len(report.not_looked_at), 'place')} could not be looked at"
    reasons = dict.fromkeys(f"{each.haystack}: {each.why}" for each in report.not_looked_at if not each.rule)
    return [count, *reasons]


def validation_of(report: SearchReport | None) -> Check:
    """By the independent search, which has its own credentials and its own code path."""
    if report is None:
        why = "No independent search was carried out."
        return Check(by="nobody", tool="none", at=now(), result="UNKNOWN", found=(why,))
    looked = sum(each.things for each in report.haystacks)
    needles = report.needles
    found = [
        f"{counted(len(report.left), 'hit')} in {looked:,} files, objects and tables "
        f"of {counted(len(report.haystacks), 'store')}",
        f"looked for: {counted(needles.keys, 'key')}, {counted(needles.ids, 'id')}, "
        f"{counted(needles.files, 'file')}, {counted(needles.pictures, 'picture')}",
        f"{counted(len(report.models), 'model')} can be loaded, of which {len(report.knowing)} learned the records",
        f"{counted(len(report.old_versions), 'old version')} of objects were asked for by id, of which "
        f"{sum(not each.gone for each in report.old_versions)} are there",
        f"{counted(len(report.declared), 'hit')} that a rule declares",
        *_unread(report),
    ]
    return Check(
        by=f"the independent search, with {report.principal.credentials}",
        tool=report.tool,
        at=report.finished,
        result=report.outcome.value,
        found=tuple(found),
        read_only=report.principal.read_only,
        report=digest_of(report.as_json()),
    )
