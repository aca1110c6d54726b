"""A request as a file that somebody wrote by hand: raw ids, as lines or as JSON."""

import json

from tmu.errors import RequestError


def read_request(text: str) -> tuple[list[str], list[str]]:
    """Subjects and records from a request file: JSON `{"subjects": [...], "records": [...]}`, or one subject a line.

    Empty lines and lines that begin with `#` are skipped. Raises RequestError for JSON of another form.
    """
    if not text.lstrip().startswith("{"):
        lines = [line.strip() for line in text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")], []
    try:
        raw = json.loads(text)
        subjects, records = raw.pop("subjects", []), raw.pop("records", [])
        if not (isinstance(subjects, list) and isinstance(records, list)):
            raise ValueError  # a string would fall apart into one-letter ids
        if raw or not all(isinstance(item, str) for item in [*subjects, *records]):
            raise ValueError
        return list(subjects), list(records)
    except (ValueError, TypeError) as error:
        raise RequestError(
            "The request file is neither lines of subjects nor the expected JSON.",
            'Write {"subjects": ["..."], "records": ["..."]}.',
        ) from error
