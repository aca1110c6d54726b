"""What can be wrong with a certificate: each fault has a name, a sentence and the exit code of `tmu-verify`."""

from enum import StrEnum


class Fault(StrEnum):
    """The faults by name."""

    UNREADABLE = "unreadable"
    NOT_CANONICAL = "not_canonical"
    WRONG_FORMAT = "wrong_format"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    KEY_NOT_IN_FORCE = "key_not_in_force"
    KEY_REVOKED = "key_revoked"
    BAD_KEY_LIST = "bad_key_list"
    WRONG_REQUEST = "wrong_request"
    NOT_PASSED = "not_passed"
    LOG_BROKEN = "log_broken"
    LOG_CUT = "log_cut"
    LOG_REWRITTEN = "log_rewritten"
    MODEL_SWAPPED = "model_swapped"
    BUNDLE_INCOMPLETE = "bundle_incomplete"
    BUNDLE_CHANGED = "bundle_changed"
    BAD_TIME_STAMP = "bad_time_stamp"
    NO_TIME_STAMP = "no_time_stamp"


MEANINGS = {
    Fault.UNREADABLE: "the file is missing or no JSON",
    Fault.NOT_CANONICAL: "the bytes are not those that the issuer wrote",
    Fault.WRONG_FORMAT: "it is no certificate of deletion of a known format",
    Fault.UNKNOWN_KEY: "it is signed with a key that the list does not name",
    Fault.BAD_SIGNATURE: "the signature does not fit the content",
    Fault.KEY_NOT_IN_FORCE: "the key was not in force on the date of issue",
    Fault.KEY_REVOKED: "the key was revoked, and no time stamp shows an earlier signature",
    Fault.BAD_KEY_LIST: "the list of keys is damaged or signed by none of its keys",
    Fault.WRONG_REQUEST: "it is the certificate of another request",
    Fault.NOT_PASSED: "it states no PASS of verification and validation",
    Fault.LOG_BROKEN: "an entry of the log was changed, or does not follow the one before",
    Fault.LOG_CUT: "the log lacks entries that the certificate names",
    Fault.LOG_REWRITTEN: "the log has another head than the certificate names",
    Fault.MODEL_SWAPPED: "the weights are not those that the certificate names",
    Fault.BUNDLE_INCOMPLETE: "a file of the evidence is missing",
    Fault.BUNDLE_CHANGED: "a file of the evidence was changed",
    Fault.BAD_TIME_STAMP: "the time stamp is none of that authority for this certificate",
    Fault.NO_TIME_STAMP: "a time stamp is asked for and there is none",
}

_CODES = (
    (10, (Fault.UNREADABLE, Fault.NOT_CANONICAL, Fault.WRONG_FORMAT)),
    (11, (Fault.UNKNOWN_KEY, Fault.BAD_SIGNATURE, Fault.BAD_KEY_LIST)),
    (12, (Fault.KEY_NOT_IN_FORCE, Fault.KEY_REVOKED)),
    (13, (Fault.WRONG_REQUEST,)),
    (14, (Fault.NOT_PASSED,)),
    (15, (Fault.LOG_BROKEN, Fault.LOG_CUT, Fault.LOG_REWRITTEN)),
    (16, (Fault.MODEL_SWAPPED,)),
    (17, (Fault.BUNDLE_INCOMPLETE, Fault.BUNDLE_CHANGED)),
    (18, (Fault.BAD_TIME_STAMP, Fault.NO_TIME_STAMP)),
)
EXIT_CODES = {fault: code for code, faults in _CODES for fault in faults}


class Refused(Exception):
    """A certificate that does not verify. fault: its name. what: a sentence with the detail."""

    def __init__(self, fault: Fault, what: str) -> None:
        self.fault, self.what = fault, what
        super().__init__(f"{fault}: {what}")

    @property
    def exit_code(self) -> int:
        """Of `tmu-verify`."""
        return EXIT_CODES[self.fault]
