"""`tmu-verify CERTIFICATE`: the command line. Exit code 0: it verifies; 10 to 18: a fault, by name; 2: wrong usage."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tmu_verify import __version__
from tmu_verify.faults import EXIT_CODES, MEANINGS, Refused
from tmu_verify.verify import Against, Verified, verify

_FILES = {
    "keys": ("FILE", "the issuer's list of keys, fetched from the issuer; else keys.json beside the certificate"),
    "log": ("FILE", "an extract of the audit log, as `tmu ledger export` writes it"),
    "model": ("FOLDER", "the model that is said to have forgotten: its folder or its weights"),
    "bundle": ("FOLDER", "the evidence: every file that the certificate names must lie in it unchanged"),
    "roots": ("FILE", "root certificates (PEM) of the time stamp authority; then a time stamp must be there"),
    "stamp": ("FILE", "the time stamp; else CERTIFICATE.tsr"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify and print; returns the exit code."""
    options = _parser().parse_args(arguments)
    given = {name: getattr(options, name) for name in (*_FILES, "request")}
    try:
        found = verify(options.certificate, Against(**given))
    except Refused as refused:
        fault = {"verified": False, "fault": refused.fault.value, "what": refused.what}
        print(json.dumps(fault | {"exit_code": refused.exit_code}) if options.json else f"REFUSED {refused}")
        return refused.exit_code
    print(json.dumps(found.as_json(), indent=2) if options.json else _shown(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {EXIT_CODES[fault]}  {fault.value}: {meaning}" for fault, meaning in MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="tmu-verify",
        description="Verify a certificate of deletion offline.",
        epilog=f"exit codes:\n  0  it verifies\n  2  wrong usage\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("certificate", type=Path, metavar="CERTIFICATE")
    for name, (metavar, text) in _FILES.items():
        parser.add_argument(f"--{name}", type=Path, metavar=metavar, help=text)
    parser.add_argument("--request", metavar="ID", help="the request that it must answer")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--version", action="version", version=f"tmu-verify {__version__}")
    return parser


def _shown(found: Verified) -> str:
    statement = found.statement
    lines = [
        f"VERIFIED: the certificate of request {statement.request}",
        f"issuer       {statement.predicate['issuer']['name']}",
        f"issued       {statement.predicate['issued']}",
        *(f"signed by    {keyid}" for keyid in found.signed_by),
        *(f"checked      {text}" for text in found.checked),
        *(f"not checked  {text}" for text in found.not_checked),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
