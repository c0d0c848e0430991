"""Gets the agent by its SHA-256 from the cluster's bucket, unless it is here: fetch SHA256 [CONFIG [TARGET]]."""

import hashlib
import json
import sys
import time
from pathlib import Path

DEADLINE = 600


def digest(content):
    return hashlib.sha256(content).hexdigest()


def get(config, key):
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
    s3 = boto3.client("s3", region_name=config["region"], config=patience)
    return s3.get_object(Bucket=config["bucket"], Key=key)["Body"].read()


def fetch(wanted, config, target):
    began = time.monotonic()
    while True:
        try:
            content = get(config, f"agent/{wanted}.pyz")
            if digest(content) != wanted:
                raise ValueError("its content is not what its name says")
            break
        except Exception as error:  # the next try may succeed
            print(f"The agent {wanted[:12]} cannot be downloaded from {config['bucket']}: {error}", flush=True)
            if time.monotonic() > began + DEADLINE:
                sys.exit(1)
            time.sleep(5)
    # Atomic, so that a partial file never runs.
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.chmod(0o755)
    part.replace(target)
    print(f"The agent {wanted[:12]} was downloaded in {time.monotonic() - began:.1f} s.", flush=True)


def main(wanted, config="/etc/swarm-agent/config.json", target="/usr/local/lib/swarm-agent/swarm-agent.pyz"):
    target = Path(target)
    if not (target.exists() and digest(target.read_bytes()) == wanted):
        fetch(wanted, json.loads(Path(config).read_text()), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
