"""Runs on a manager: the discovery that Terraform modules for Swarm have, without a lock: check, put, sleep.

`python discovery.py BUCKET ADDRESS`, with credentials in the environment.
"""

import subprocess
import sys
import time

import boto3

# Between two looks, and until a put by another manager must be visible, in seconds.
LOOK, SETTLE = 5, 10
KEY = "discovery"


def main(bucket: str, address: str) -> None:
    """Join the manager that the bucket names, or become it."""
    s3 = boto3.client("s3")

    def read(name: str) -> str:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{KEY}/{name}").get("Contents")
        return s3.get_object(Bucket=bucket, Key=f"{KEY}/{name}")["Body"].read().decode() if found else ""

    if not read("primary"):
        s3.put_object(Bucket=bucket, Key=f"{KEY}/primary", Body=address.encode())
        time.sleep(SETTLE)
    primary = read("primary")
    if primary == address:
        docker("init", "--advertise-addr", address)
        s3.put_object(Bucket=bucket, Key=f"{KEY}/token", Body=docker("join-token", "--quiet", "manager").encode())
        return
    while not read("token"):
        time.sleep(LOOK)
    docker("join", "--token", read("token").strip(), f"{primary}:2377")


def docker(*words: str) -> str:
    """Run a command of `docker swarm`."""
    return subprocess.run(["docker", "swarm", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
