"""The backups in the cluster's bucket: each is an archive and a manifest, and does not count without the manifest."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Dict, List

from .._core.backup_schedule import BackupError, Manifest, newest_first, refused
from ..aws.aws_session import AwsSession, ClientError, code

PREFIX = "backups/"
ARCHIVE, MANIFEST = ".tar.gz", ".json"
_CHUNK = 1 << 20


class Backups:
    """Every method raises Unavailable when S3 does not answer, or refuses."""

    def __init__(self, aws: AwsSession, bucket: str) -> None:
        self._aws, self._bucket = aws, bucket

    def names(self) -> List[str]:
        """The names of all backups, the newest first."""
        found = []
        with self._aws.asked(f"list the backups in the bucket {self._bucket}"):
            pages = self._aws.client("s3").get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=PREFIX):
                found += [content["Key"][len(PREFIX) :] for content in page.get("Contents", [])]
            return newest_first(key[: -len(MANIFEST)] for key in found if key.endswith(MANIFEST))

    def manifest(self, name: str) -> Manifest:
        """Raises BackupError too, if it does not exist or cannot be read."""
        key = f"{PREFIX}{name}{MANIFEST}"
        with self._aws.asked(f"read {key} of the bucket {self._bucket}"):
            try:
                return Manifest.decode(self._aws.client("s3").get_object(Bucket=self._bucket, Key=key)["Body"].read())
            except ClientError as error:
                if code(error) == "NoSuchKey":
                    raise BackupError(f"There is no backup '{name}' in the bucket {self._bucket}.") from error
                raise

    def put(self, manifest: Manifest, archive: Path) -> None:
        """Store a backup. The manifest is written last, so that half a backup does not count."""
        # S3 checks it on arrival and keeps it with the object.
        checksum = base64.b64encode(bytes.fromhex(manifest.sha256)).decode()
        with archive.open("rb") as content:
            self._write(manifest.name + ARCHIVE, content, "application/gzip", {"ChecksumSHA256": checksum})
        self._write(manifest.name + MANIFEST, manifest.encode(), "application/json", {})

    def _write(self, name: str, content: object, kind: str, more: Dict[str, str]) -> None:
        with self._aws.asked(f"write {PREFIX}{name} to the bucket {self._bucket}"):
            self._aws.client("s3").put_object(
                Bucket=self._bucket, Key=PREFIX + name, Body=content, ContentType=kind, **more
            )

    def fetch(self, manifest: Manifest, target: Path) -> None:
        """Download the archive to a file. Raises BackupError if it is not what was written."""
        key, digest, size = f"{PREFIX}{manifest.name}{ARCHIVE}", hashlib.sha256(), 0
        with self._aws.asked(f"read {key} of the bucket {self._bucket}"), target.open("wb") as file:
            try:
                body = self._aws.client("s3").get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if code(error) == "NoSuchKey":
                    raise refused(manifest, "its archive is missing", self.names()) from error
                raise
            for chunk in iter(lambda: body.read(_CHUNK), b""):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        if (size, digest.hexdigest()) != (manifest.size, manifest.sha256):
            why = f"it has {size} bytes with the SHA-256 {digest.hexdigest()}"
            raise refused(manifest, f"{why} rather than {manifest.size} with {manifest.sha256}", self.names())

    def delete(self, name: str) -> None:
        """Delete a backup, the manifest first. The bucket keeps old versions for a while."""
        for key in (PREFIX + name + MANIFEST, PREFIX + name + ARCHIVE):
            with self._aws.asked(f"delete {key} of the bucket {self._bucket}"):
                self._aws.client("s3").delete_object(Bucket=self._bucket, Key=key)
