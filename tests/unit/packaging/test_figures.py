"""The figures of the pages and of the picture are those of the code and of the lab's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.swarm.aws.plugins.module_utils._core import (
    aws_time,
    deputy,
    dns,
    metrics,
    removal_deadlines,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.counting import counted
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils.account import configuration_rules, picture, prices
from ansible_collections.swarm.aws.plugins.module_utils.account.resources import destroy
from ansible_collections.swarm.aws.plugins.module_utils.account.resources.declared import declared
from ansible_collections.swarm.aws.plugins.module_utils.adapters import services, unlock_keys
from ansible_collections.swarm.aws.runtime.swarm_agent import look as agent
from ansible_collections.swarm.aws.runtime.swarm_agent import loop, watch

from look import link
from tests.unit.configuration.configuration import ROOT, complete

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
PRICES = yaml.safe_load((ROOT / "roles/account/files/prices.yml").read_text())
LAB_FILE = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())
LAB, EXAMPLE = complete(**LAB_FILE), complete()
NAMES = {kind: names for kind, names in declared(LAB).items() if names}
COUNT = sum(map(len, NAMES.values()))
NODES = sum(group["desired"] for group in LAB["node_groups"])
COLUMNS = yaml.safe_load((ROOT / "roles/views/vars/main.yml").read_text())["views_columns"]
# t3.small has two.
VCPUS = 2 * sum(group["desired"] for group in EXAMPLE["node_groups"])


def _kib(room: int) -> str:
    return f"{room / 1024:g} KB"


def _figures() -> Iterator[tuple[str, str]]:
    """Pages, and what each must say."""
    for page in ("plan", "tutorial"):
        yield page, f"To create: {COUNT}, to update: 0, to delete: 0."
        yield page, f"with prices of {PRICES['as_of']}:"
    for page in ("destroy", "tutorial"):
        # With the instances and the record.
        yield page, f"Deleted: {COUNT + NODES + 1} resources of the cluster example."
    yield "destroy", f"{COUNT + NODES + 1} resources of the cluster example in the account"
    yield "destroy", f"**The KMS key** for {NUMBERS[destroy.KEY_DAYS]} days"

    cost = prices.monthly(LAB, PRICES)
    for row in cost["rows"]:
        yield "plan", " ".join(" ".join(row).split())
    yield "tutorial", f"whole cluster {cost['total']:.2f}"
    yield "comparison", f"three `t3.small` are about {cost['groups'][0]['total']:.0f} USD a month"
    watching = prices.monthly(EXAMPLE, PRICES)["others"]["metrics and alarms"]
    sent = {family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension}
    yield "observability", f"There are {NUMBERS[len(sent)]} metrics, "
    yield "observability", f"for two groups {watching:.2f} USD a month"

    yield "README", f"a quota of {VCPUS} on-demand vCPUs"
    yield "first-run", f"the example needs {NUMBERS[VCPUS]} ({NUMBERS[VCPUS // 2]} `t3.small`)"

    yield "look", f"silent for {link.SILENCE:g} seconds"
    yield "look", f"AWS every {NUMBERS[int(agent.AWS_EVERY)]} seconds"
    yield "autolock", f"The newest {unlock_keys.KEPT} keys"
    yield "removal", f"at the termination hook | {Policy.hold_seconds / 60:g} minutes |"
    yield "removal", f"waits for a place for at most {Policy.surge_seconds / 60:g} minutes"
    yield "removal", f"ends {removal_deadlines.RESERVE:g} seconds before the deadline"
    for page in ("removal", "configuration"):
        yield page, f"has not joined after {Policy.launch_seconds / 60:g} minutes"
    yield "troubleshooting", f"acts for it after {deputy.SILENT_AFTER:g} s"
    yield "observability", f"off by {aws_time.TOLD:g} s or more"
    yield "dns", f"are {dns.MOST_VALUES} values in a"
    yield "limits", f"{dns.MOST_VALUES} with IPv4 alone, {dns.MOST_VALUES_OF_BOTH} with IPv6"
    yield "limits", f"1 to {configuration_rules.MOST_MANAGERS}; more are refused"
    fails = f"fails {NUMBERS[services._FAILURES]} times within {NUMBERS[int(services._FAILING_SECONDS / 60)]} minutes"
    yield "dns", fails
    room = configuration_rules.USER_DATA_LIMIT
    less = configuration_rules.VOLUMES_ROOM
    yield (
        "configuration",
        f"It can have {_kib(room)}, of EC2's limit of 16 KB; {_kib(less)} less in a group with `volumes`",
    )
    yield "limits", f"| {_kib(room)}, with `volumes` {_kib(room - less)}; "

    # A look at the bucket reads two objects, and a pass three; the policy is one more. Managers look for the leader.
    each, others, leader = 60 / watch.EVERY * 2, 60 / loop.LIST_EVERY, 60 / loop.IDLE * 4
    reads = {nodes: each * nodes + others * 2 + leader for nodes in (4, 203)}
    writes, received = 60 / loop.STATUS_EVERY + 60 / loop.LIST_EVERY, 60 / loop.LOOK
    dollars = {
        nodes: 60 * 730 * (count * 4e-7 + writes * 5e-6 + received * 4e-7 + 1e-5) for nodes, count in reads.items()
    }
    yield "performance", f"reads | {each:g} N + {others:g} (M - 1) + {leader:g} | {reads[4]:g} | {reads[203]:g} |"
    yield "performance", f"writes | {writes:g} | {writes:g} | {writes:g} |"
    yield "performance", f"SQS | {received:g} | {received:g} | {received:g} |"
    yield "performance", f"| US dollars a month | | {dollars[4]:.2f} | {dollars[203]:.2f} |"
    for table in ("members", "groups", "services", "actions"):
        yield "status", " ".join(COLUMNS[table])


@pytest.mark.parametrize(("page", "figure"), _figures())
def test_a_page_has_the_figure_of_the_code(page: str, figure: str) -> None:
    path = ROOT / ("README.md" if page == "README" else f"docs/{page}.md")
    assert figure in " ".join(path.read_text().split())


def test_the_picture_has_the_resources_of_the_labs_configuration() -> None:
    drawn = (ROOT / "docs/images/cluster.svg").read_text()
    counts = {kind: len(names) for kind, names in NAMES.items() if kind not in picture.WITHIN}
    counts |= {"instance": NODES, "DNS record": 1}
    (title,) = re.findall(r"<title id=\"title\">.+?: (.+?)</title>", drawn)
    shown = [kind if count == 1 else counted(count, kind) for kind, count in counts.items()]
    assert sorted(title.split(", ")) == sorted(shown)
    assert picture.STYLE in drawn
