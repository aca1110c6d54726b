"""A spot: one step of a deletion that a third party repeats from the bundle alone, without a person's data.

The step is the audit's judgement: the numbers in `audit.json` and the limits in `manifest.json` go through the rules of
the installed tmu, and must give the verdict and the sentences that are on record, to the letter.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu.audit import equality
from tmu.audit.by_table.measured import Measured, findings_of, verdict_of
from tmu.audit.gate import Verdict, judge
from tmu.audit.table import AuditResult
from tmu.config import AuditConfig
from tmu.errors import DataError
from tmu.evidence.manifest import Manifest, read_manifest
from tmu.evidence.sums import check_sums
from tmu.files import read_json

AUDIT = "audit.json"


@dataclass(frozen=True)
class Spot:
    """A repeated step. sentence: what was found to hold."""

    name: str
    outcome: str
    sentence: str


def spots_of_bundle(folder: Path) -> list[Spot]:
    """Check the sums of a bundle, then repeat what it lets repeat. Raises DataError naming what differs."""
    count = check_sums(folder)
    sums = Spot("checksums", "passed", f"The {count} files of the bundle are those of its SHA256SUMS.")
    return [sums, *spots(folder, read_manifest(folder))]


def spots(folder: Path, manifest: Manifest) -> list[Spot]:
    """The steps that a folder with manifest and audit lets repeat. Raises DataError naming what differs."""
    if manifest.made.audit is None:
        raise DataError("This deletion was not audited: there is nothing to repeat.", "See its manifest.json.")
    try:
        raw = read_json(folder / AUDIT)
        verdict = judged_again(raw, manifest.case.params.audit)
    except OSError as error:
        raise DataError(f"There is no {AUDIT} in {folder}.", "Fetch the bundle again: `tmu pull`.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{AUDIT} lacks what its verdict rests on.", "Fetch the bundle again: `tmu pull`.") from error
    _refuse_other(raw["verdict"], verdict, manifest)
    count = len(verdict.reasons)
    text = f"The {count} rules, applied again to the numbers in {AUDIT}, give the verdict on record: {verdict.outcome}."
    return [Spot("verdict", verdict.outcome, text)]


def judged_again(raw: dict[str, Any], config: AuditConfig) -> Verdict:
    """The verdict on an audit's numbers. raw: `audit.json`; with golds, without, or by equality."""
    if "equality" in raw:
        return equality.verdict_of(equality.findings_of(equality.Equality(**raw["equality"])))
    if "measured" in raw:
        return verdict_of(findings_of(Measured.from_json(raw["measured"]), config))
    return judge(AuditResult(raw["result"]), raw["verdict"]["row"], config, **raw["changed"])


def _refuse_other(recorded: dict[str, Any], verdict: Verdict, manifest: Manifest) -> None:
    hint = "The numbers, the sentences or the limits were changed, or another version of tmu judged; see manifest.json."
    if recorded["outcome"] != verdict.outcome or manifest.verdict != verdict.outcome:
        said = " and ".join(sorted({recorded["outcome"], manifest.verdict}))
        raise DataError(f"The verdict on record is {said}; the numbers give {verdict.outcome}.", hint)
    for before, now in zip(recorded["reasons"], verdict.reasons, strict=True):
        if before != now:
            raise DataError(f"A rule said: {before} From the numbers follows: {now}", hint)
