"""S3: every version of every object below the configured prefixes, delete markers, and unfinished uploads."""

import json
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tmu.files import digest_of
from tmu.search.ground import Found, Ground, s3_client
from tmu.search.haystacks.folders import dvc_settings
from tmu.search.look import HEADS, Thing
from tmu.search.passing import may_pass
from tmu.search.report import Access, NotLookedAt

_SMALL, _MOST, _AT_ONCE = 1 << 20, 1 << 28, 8
"""Bytes of a version that is fetched once for both looks, bytes of all of them, and fetches at a time."""
_WENT = ("NoSuchKey", "NoSuchVersion", "404")
"""What a store says of a version that went since it was listed: another search is not told of it any more."""
_NAMES = {
    "dvc_remote": "DVC remote",
    "artifacts": "artifact store",
    "mlflow_artifacts": "MLflow artifacts",
    "heads_s3": "heads of the log",
}


class NoAnswerError(Exception):
    """The store did not answer, and may later."""


class Buckets:
    """See the module."""

    name = "S3"

    def found(self, ground: Ground) -> Iterator[Found]:
        """Each version as a file in the scratch folder, gone again when the next one is asked for."""
        places = places_of(ground)
        if not places:
            return
        client, _ = s3_client(ground.workspace)
        for name, (bucket, prefix) in places:
            try:
                yield from _versions(client, ground, name, bucket, prefix)
                yield from _uploads(client, name, bucket, prefix)
            except (ClientError, BotoCoreError) as error:
                yield _not_looked_at(name, f"s3://{bucket}/{prefix}", error)

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """By trying what changes nothing even where it is allowed: a part of an upload that there is not, and the
        deletion of an object's version that there is not.
        """
        places = places_of(ground)
        if not places:
            return
        client, credentials = s3_client(ground.workspace, attempts=1)
        for bucket in dict.fromkeys(bucket for _, (bucket, _) in places):
            can, how = _can_write(client, bucket)
            yield Access(store=f"s3://{bucket}", can_write=can, how=f"{how}, with {credentials}")


def places_of(ground: Ground) -> list[tuple[str, tuple[str, str]]]:
    """(name, (bucket, prefix)) of every address in S3 that the settings and DVC name; none within another."""
    settings = ground.workspace.settings
    named = {field: getattr(settings, field) for field in type(settings).model_fields}
    found = [
        (_NAMES.get(field, field), value)
        for field, value in named.items()
        if isinstance(value, str) and value.startswith("s3://")
    ]
    found += [("DVC remote", url) for url in dvc_settings(ground.root)["remotes"] if url.startswith("s3://")]
    places: dict[tuple[str, str], str] = {}
    for name, url in found:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        places.setdefault((bucket, prefix.strip("/")), name)
    return [
        (name, place)
        for place, name in places.items()
        if not any(other != place and _within(place, other) for other in places)
    ]


def answer_of(client: Any, bucket: str, key: str, version: str) -> str:
    """What the store says of one version: `there`, or the code of its refusal, such as `404` or `NoSuchVersion`.

    Raises NoAnswerError where it does not answer.
    """
    try:
        client.head_object(Bucket=bucket, Key=key, VersionId=version)
    except (ClientError, BotoCoreError) as error:
        if may_pass(error):
            raise NoAnswerError(_why(error)) from error
        return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
    return "there"


def _within(place: tuple[str, str], other: tuple[str, str]) -> bool:
    return place[0] == other[0] and (not other[1] or place[1].startswith(f"{other[1]}/"))


def _versions(client: Any, ground: Ground, name: str, bucket: str, prefix: str) -> Iterator[Found]:
    start = f"{prefix}/" if prefix else ""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=start):
        if ground.shards:
            _copy(client, ground, bucket, page.get("Versions", ()))
        for each in page.get("Versions", ()):
            here = _here(ground, each)
            if here is None:
                yield from _version(client, ground, name, bucket, each)
            elif not ground.shards:
                yield Thing(name, f"s3://{bucket}/{each['Key']}", here, each["VersionId"], each["Key"])
        for each in page.get("DeleteMarkers", ()):  # it has no bytes; its name may lead to the person
            path = ground.scratch / "marker"
            path.write_bytes(b"")
            address = f"s3://{bucket}/{each['Key']}"
            yield Thing(name, address, path, each["VersionId"], each["Key"], "delete marker")


def _here(ground: Ground, each: dict[str, Any]) -> Path | None:
    """A file of this machine with the bytes of a version, by what the listing tells of it; None where it is fetched."""
    path = (ground.here or {}).get((each["ETag"].strip('"'), each["Size"]))
    return path if path is not None and path.is_file() and path.stat().st_size == each["Size"] else None


def _copy(client: Any, ground: Ground, bucket: str, versions: Sequence[dict[str, Any]]) -> None:
    """Fetch small versions once for both looks, several at a time. One without an id may change between them."""
    room = _MOST - sum(path.stat().st_size for path in ground.copies)
    wanted = []
    for each in versions:
        if each["Size"] <= min(_SMALL, room) and each["VersionId"] != "null" and not _here(ground, each):
            wanted.append(each)
            room -= each["Size"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for each, facts in zip(wanted, pool.map(partial(_fetched_small, client, ground, bucket), wanted), strict=True):
            if facts is not None:
                ground.copies[_copy_of(ground, bucket, each)] = facts


def _fetched_small(client: Any, ground: Ground, bucket: str, each: dict[str, Any]) -> str | None:
    """The facts of a version whose copy lies in scratch now; None where it cannot be read: the second look says so."""
    try:
        return _fetched(client, bucket, each, _copy_of(ground, bucket, each))
    except (ClientError, BotoCoreError):
        return None


def _copy_of(ground: Ground, bucket: str, each: dict[str, Any]) -> Path:
    return ground.scratch / f"copy-{digest_of([bucket, each['Key'], each['VersionId']])[:32]}"


def _may_tell(client: Any, ground: Ground, bucket: str, each: dict[str, Any]) -> bool:
    """Whether an object begins as a shard or a listing does."""
    copy = _copy_of(ground, bucket, each)
    if copy in ground.copies:
        with copy.open("rb") as file:
            return file.read(4) in HEADS
    answer = client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"], Range="bytes=0-3")
    return answer["Body"].read() in HEADS


def _version(client: Any, ground: Ground, name: str, bucket: str, each: dict[str, Any]) -> Iterator[Found]:
    address, path, copy = f"s3://{bucket}/{each['Key']}", ground.scratch / "object", _copy_of(ground, bucket, each)
    facts = ground.copies.get(copy) if ground.shards else ground.copies.pop(copy, None)
    try:
        if ground.shards and not _may_tell(client, ground, bucket, each):
            return
        if facts is None:
            facts = _fetched(client, bucket, each, path)
        elif ground.shards:
            path.hardlink_to(copy)
        else:
            copy.replace(path)
        yield Thing(name, address, path, each["VersionId"], each["Key"], facts)
    except (ClientError, BotoCoreError) as error:
        went = isinstance(error, ClientError) and error.response["Error"]["Code"] in _WENT
        place = _not_looked_at(name, f"{address} ({each['VersionId']})", error)
        yield place.model_copy(update={"may_pass": place.may_pass or went})
    finally:
        path.unlink(missing_ok=True)


def _fetched(client: Any, bucket: str, each: dict[str, Any], path: Path) -> str:
    """Write a version's bytes to a file; what the store tells beside them, as JSON."""
    answer = client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    with path.open("wb") as file:
        for piece in answer["Body"].iter_chunks(1 << 20):
            file.write(piece)
    return json.dumps([answer.get("Metadata"), answer.get("ContentDisposition")], ensure_ascii=False)


def _uploads(client: Any, name: str, bucket: str, prefix: str) -> Iterator[Found]:
    """Parts of an unfinished upload are kept, and nobody can read them."""
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Uploads", ()):
            yield NotLookedAt(haystack=name, address=f"s3://{bucket}/{each['Key']}", why="an unfinished upload")


def _can_write(client: Any, bucket: str) -> tuple[bool | None, str]:
    key, answers = f"tmu-search-{secrets.token_hex(8)}", list[tuple[bool | None, str]]()
    attempts = {
        "writing": lambda: client.upload_part(Bucket=bucket, Key=key, UploadId="none", PartNumber=1, Body=b""),
        "deleting": lambda: client.delete_object(Bucket=bucket, Key=key, VersionId="null"),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            answers.append((True, f"{name} is allowed"))
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            answers.append((status != 403, f"{name} was answered {error.response['Error']['Code']}"))
        except Exception as error:  # whatever the store makes of it, it is no refusal
            answers.append((None, f"{name} failed ({type(error).__name__})"))
    said = [can for can, _ in answers]
    can_write = True if True in said else (None if None in said else False)
    return can_write, " and ".join(how for _, how in answers)


def _not_looked_at(name: str, address: str, error: Exception) -> NotLookedAt:
    return NotLookedAt(haystack=name, address=address, why=_why(error), may_pass=may_pass(error))


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"the store answered {error.response['Error']['Code']}"
    return f"the store does not answer ({type(error).__name__})"
