"""Small matters of wording that pages, logs and terminals share."""


def counted(number: int, what: str, several: str | None = None) -> str:
    """`1 record`, `2 records`; several: a plural that is not made by an s."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"
