"""A registry on the nodes with its images in the bucket, and a job that builds, pushes and deploys by digest."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from lab import images
from lab.engine import connect
from lab.state import ENDPOINT_PORT, SERVICES_ADDRESS
from tests.lab.conftest import say
from tests.lab.site import ROOT, Run, Site

STACK = ROOT / "stacks/ci/docker-compose.yml"
ENDPOINT = f"http://{SERVICES_ADDRESS}:{ENDPOINT_PORT}"
IMAGE = "127.0.0.1:5000/shop"
SHOP = f"""
services:
  page:
    image: {IMAGE}:latest
    networks: [host]
    stop_grace_period: 1s
    deploy:
      mode: global
      update_config: {{order: start-first, parallelism: 0, monitor: 4s, failure_action: rollback}}
      restart_policy: {{delay: 1s}}
networks:
  host: {{external: true}}
"""
RECIPE = """
FROM python:3.13-slim
COPY page.txt /page.txt
RUN test -s /page.txt
CMD ["python3", "-c", "{runs}"]
"""
# A repository on each manager's loopback, with the page at a tag.
REPOSITORY = """
services:
  daemon:
    image: docker:28-cli
    entrypoint:
      - sh
      - -euc
      - |
        git init --quiet /tmp/shop.git && cd /tmp/shop.git
        printf %%s "$$RECIPE" > Dockerfile && printf %%s "$$PAGE" > page.txt && git add .
        git -c user.name=a -c user.email=a commit --quiet --message page && git tag v1 && git rm --quiet page.txt
        git -c user.name=a -c user.email=a commit --quiet --message newer
        exec git daemon --listen=127.0.0.1 --export-all --base-path=/tmp
    networks: [host]
    stop_grace_period: 1s
    healthcheck: {test: [CMD, git, ls-remote, "git://127.0.0.1/shop.git"], interval: 2s}
    environment: {RECIPE: %s, PAGE: of a repository}
    deploy: {mode: global, placement: {constraints: [node.role == manager]}}
networks:
  host: {external: true}
"""
LASTS, ENDS = "import time; time.sleep(3600)", "raise SystemExit(3)"


class Ci:
    """The CI stack and the shop that it builds."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        known = site.environment
        self._who = {f"aws_{name}": known[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")}
        self._shop = folder / "shop/docker-compose.yml"
        self._shop.parent.mkdir()
        self._shop.write_text(SHOP)
        site.aws("s3").create_bucket(Bucket="sources", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def source(self, page: str, runs: str = LASTS) -> str:
        """The URL of an archive with a Dockerfile and a page."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in (("Dockerfile", RECIPE.format(runs=runs)), ("page.txt", page)):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        where = {"Bucket": "sources", "Key": f"{page}.tar.gz"}
        self.site.aws("s3").put_object(**where, Body=packed.getvalue())
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        s3 = boto3.client("s3", "eu-west-1", endpoint_url=ENDPOINT, config=config, **self._who)
        address: str = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=3600)
        return address

    def repository(self) -> str:
        """The URL of the repository at the tag with the page."""
        file = self._shop.parents[1] / "repository/docker-compose.yml"
        file.parent.mkdir()
        file.write_text(REPOSITORY % json.dumps(RECIPE.format(runs=LASTS)))
        served = self.site.playbook("playbooks/deploy.yml", "-e", f"stack_file={file}")
        assert served.code == 0, served.output[-4000:]
        return "git://127.0.0.1/shop.git#v1"

    def deploy(self, source: str = "", service: str = "") -> Run:
        """Run `deploy.yml` as documented."""
        more = {"CI_SOURCE": source, "CI_IMAGE": "shop", "CI_SERVICE": service}
        return self.site.playbook("playbooks/deploy.yml", "-e", f"stack_file={STACK}", **more)

    def deploy_shop(self) -> Run:
        return self.site.playbook("playbooks/deploy.yml", "-e", f"stack_file={self._shop}")

    def pages(self) -> dict[str, str]:
        """The page of each node's task of the shop; empty without a task."""
        task = "$(docker ps --quiet --filter label=com.docker.swarm.service.name=shop_page)"
        return {
            instance: self.site.on(instance, "sh", "-c", f"docker exec {task} cat /page.txt").output
            for instance in sorted(self.site.ids())
        }

    def all_have(self, page: str) -> bool:
        return set(self.pages().values()) == {page}


@pytest.fixture(scope="module")
def ci(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ci]:
    """The CI stack, deployed for this file."""
    images.ensure_all(connect(), say)
    site.settle()
    made = Ci(site, tmp_path_factory.mktemp("ci"))
    allowed = site.playbook("site.yml", "--tags", "iam", "-e", '{"registry": true}')
    assert allowed.code == 0, allowed.output[-4000:]
    try:
        deployed = made.deploy()
        assert deployed.code == 0, deployed.output[-4000:]
        yield made
    finally:
        for stack in ("shop", "repository", "ci"):
            stopped = site.playbook("playbooks/stop.yml", "-e", f"stack_name={stack}")
            assert stopped.code == 0, stopped.output[-3000:]
        assert site.playbook("site.yml", "--tags", "iam").code == 0


@pytest.fixture
def shop(ci: Ci) -> Ci:
    """The shop on every node, with the page 'one'."""
    run = ci.deploy(ci.source("one"))
    assert run.code == 0, run.output[-4000:]
    assert "ci_build: complete, 1 of 1 task" in run.said
    deployed = ci.deploy_shop()
    assert deployed.code == 0, deployed.output[-4000:]
    ci.site.wait("the page on every node", lambda: ci.all_have("one"))
    return ci


def test_a_built_image_is_in_the_bucket_and_every_node_pulls_it(site: Site, shop: Ci) -> None:
    kept = site.aws("s3").list_objects_v2(Bucket=site.bucket, Prefix="registry/")["Contents"]
    assert any("/repositories/shop/" in entry["Key"] for entry in kept)
    assert shop.all_have("one")


@pytest.mark.usefixtures("shop")
def test_a_build_updates_the_service_and_a_second_run_changes_nothing(ci: Ci) -> None:
    source = ci.source("two")
    run = ci.deploy(source, "shop_page")
    assert run.code == 0, run.output[-4000:]
    ci.site.wait("the new page on every node", lambda: ci.all_have("two"))
    again = ci.deploy(source, "shop_page")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]


@pytest.mark.usefixtures("shop")
def test_a_repository_is_built_at_its_tag(ci: Ci) -> None:
    run = ci.deploy(ci.repository(), "shop_page")
    assert run.code == 0, run.output[-4000:]
    ci.site.wait("the repository's page on every node", lambda: ci.all_have("of a repository"))


@pytest.mark.usefixtures("shop")
def test_a_build_that_does_not_run_is_rolled_back_and_not_tagged_latest(ci: Ci) -> None:
    run = ci.deploy(ci.source("three", ENDS), "shop_page")
    assert run.code != 0
    said = run.said
    assert "ci_build failed" in said
    assert (
        "build: shop_page did not take 127.0.0.1:5000/shop@sha256:" in said or "build: the update of shop_page" in said
    )
    ci.site.wait("the old page on every node", lambda: ci.all_have("one"))
    shown = [
        "docker",
        "run",
        "--rm",
        "--pull",
        "always",
        "--quiet",
        "--network",
        "none",
        f"{IMAGE}:latest",
        "cat",
        "/page.txt",
    ]
    assert ci.site.must(ci.site.pick("worker"), *shown) == "one"


@pytest.mark.usefixtures("shop")
def test_a_new_node_pulls_the_image_and_a_worker_cannot_push(site: Site, ci: Ci) -> None:
    worker = site.pick("worker")
    site.must(worker, "docker", "pull", "--quiet", f"{IMAGE}:latest")
    site.must(worker, "docker", "tag", f"{IMAGE}:latest", f"{IMAGE}:of-a-worker")
    assert site.on(worker, "docker", "push", f"{IMAGE}:of-a-worker").code != 0
    site.aws("ec2").terminate_instances(InstanceIds=[worker])
    site.wait("the replacement", lambda: worker not in site.ids() and site.is_converged(1))
    site.wait("the page on it", lambda: ci.all_have("one"))
    refused = {call["action"] for call in site.calls() if call["service"] == "s3" and not call["allowed"]}
    assert refused <= {"PutObject", "CreateMultipartUpload"}, "only the worker's push may be refused"
