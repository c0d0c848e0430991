"""The page of the cluster in a real browser, while a node is removed and a manager is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.lab.browser import Browser, browser
from tests.lab.site import ROOT, Site

SCHEMES = ("light", "dark")
# The folder for pictures of the page, if wanted.
PICTURES = os.environ.get("SWARM_PICTURES", "")
STAGES = ["requested", "begun", "ready", "drained", "removed"]
# The page as it is after opening it.
TOP = """
for (const details of document.querySelectorAll('details[open]')) details.open = false;
document.activeElement.blur();
scrollTo(0, 0);
"""
# Records the page's view of an instance at each change.
RECORD = """
window.seen = [];
window.said = [];
const look = () => {
  const node = document.querySelector(`[data-instance="${arguments[0]}"]`);
  const now = JSON.stringify({
    stage: node ? node.querySelector('[aria-current=step]')?.dataset.stage ?? null : 'away',
    tasks: node ? [...node.querySelectorAll('.tasks li')].map((task) => task.textContent) : [],
  });
  if (window.seen.at(-1) !== now) window.seen.push(now);
  const said = document.getElementById('said').textContent;
  if (window.said.at(-1) !== said) window.said.push(said);
};
const all = {subtree: true, childList: true, attributes: true, characterData: true};
new MutationObserver(look).observe(document.body, all);
look();
"""


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """The address that `make look` prints."""
    process = subprocess.Popen(
        ["make", "-s", "look", "PORT=0"],
        cwd=ROOT,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line.startswith("look: http://127.0.0.1:"), line
        yield line.split()[1]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def test_the_page_shows_a_removal_and_a_lost_manager(site: Site, address: str) -> None:
    site.settle()
    victim = site.pick("worker")
    for path in ("/", "/moment.json", "/moments"):
        assert _status(address, path) == 401, "the page opens without the key"
    with browser() as page:
        page.size(1280, 1000)
        page.get(address)
        site.wait("the page to be live", lambda: _link(page) == "live")
        assert "key=" not in page.current_url
        _shows_the_cluster(page, site)
        _is_accessible(page)
        _works_by_keyboard(page)
        page.execute_script(RECORD, victim)
        with tempfile.TemporaryFile("w+") as output:
            removal = subprocess.Popen(
                ["ansible-playbook", "remove_node.yml", "-e", f"id={victim}"],
                cwd=ROOT,
                env=site.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            site.wait("its tasks to be told to end, on the page", lambda: "ready" in _stages(page))
            for scheme in SCHEMES:
                page.prefer(scheme)
                if PICTURES:
                    page.execute_script(TOP)
                    page.picture(Path(PICTURES) / f"look-{scheme}.png")
            site.wait("the node to be gone from the page", lambda: _seen(page)[-1]["stage"] == "away")
            removal.wait(240)
            output.seek(0)
            assert removal.returncode == 0, output.read()[-4000:]
        stages, seen = _stages(page), _seen(page)
        # The first stages may pass between two looks of the managers.
        assert "ready" in stages
        assert stages == sorted(stages, key=STAGES.index), "the stages are out of order"
        assert "example_web" in " ".join(seen[0]["tasks"]), "the node had no task at first"
        assert not seen[-2]["tasks"] or all("stopping" in task for task in seen[-2]["tasks"]), (
            "the node had running tasks at the end"
        )
        said = page.execute_script("return window.said")
        assert [sentence for sentence in said if f"{victim}: draining." in sentence], (
            f"the stage is not announced: {said}"
        )
        site.settle()
        site.wait("the page to show the replacement", lambda: _shown(page) == site.ids())
        _is_accessible(page)
        _survives_the_loss_of_its_manager(page, site)
        assert page.complaints() == []


def _survives_the_loss_of_its_manager(page: Browser, site: Site) -> None:
    source = _source(page)
    assert source in site.ids("manager")
    site.control("partition", source)
    try:
        site.wait("data from another manager", lambda: _link(page) == "live" and _source(page) != source)
    finally:
        site.control("heal", source)
    site.settle()


def _shows_the_cluster(page: Browser, site: Site) -> None:
    site.wait("the page to show all instances", lambda: _shown(page) == site.ids())
    leader = site.pick("leader")
    for instance in site.instances():
        node = page.find_element(By.CSS_SELECTOR, f'[data-instance="{instance["instance_id"]}"]')
        zone = node.find_element(By.XPATH, "ancestor::section[@class='zone']").get_attribute("aria-label")
        assert zone == f"Zone {instance['zone']}"
        words = {badge.text for badge in node.find_elements(By.CSS_SELECTOR, ".badges li")}
        assert {"ready", instance["group"].rpartition("-")[2]} <= words
        assert ("leader" in words) is (instance["instance_id"] == leader)
    healthy = r"Healthy: 4 of 4 nodes, (\d+) of \1 tasks"
    site.wait("the page to be healthy", lambda: re.fullmatch(healthy, page.find_element(By.ID, "health").text))
    assert "3 of 3 managers reachable, quorum 2, 1 may fail" in page.find_element(By.ID, "now").text
    record = page.find_element(By.ID, "record").text
    assert all(address in record for address in site.addresses())
    assert "omitted: dns is false for the group worker" in record
    assert "example_web 6 of 6" in page.find_element(By.ID, "services").text
    listed = "return [...document.querySelectorAll('.tasks .running')].map((task) => task.textContent)"
    tasks = [text for text in page.execute_script(listed) if text.startswith("example_web")]
    assert sum(int((re.findall(r" \S (\d+)$", text) or ["1"])[0]) for text in tasks) == 6
    assert page.find_elements(By.CSS_SELECTOR, "#done time"), "the agent's last actions are missing"


def _is_accessible(page: Browser) -> None:
    grounds = set()
    for scheme in SCHEMES:
        page.prefer(scheme)
        assert page.violations() == [], scheme
        grounds.add(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == len(SCHEMES), "the schemes have the same background"


def _works_by_keyboard(page: Browser) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the nodes"
    # The node's ID can be copied; the lab has no console.
    page.switch_to.active_element.send_keys(Keys.ENTER, Keys.TAB, Keys.TAB)
    more = page.switch_to.active_element
    assert more.tag_name == "summary"
    more.send_keys(Keys.ENTER)
    deadline = time.monotonic() + 30
    # It stays open and focused while updates come.
    count = "window.moments = 0; new EventSource('/moments').onmessage = () => { window.moments += 1; };"
    page.execute_script(count)
    while page.execute_script("return window.moments") < 4:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert page.switch_to.active_element == more
    assert page.execute_script("return arguments[0].parentElement.open", more)
    more.send_keys(Keys.ENTER)
    assert not page.execute_script("return arguments[0].parentElement.open", more)
    page.execute_script("arguments[0].blur(); window.scrollTo(0, 0)", more)


def _status(address: str, path: str) -> int:
    parts = urlsplit(address)
    try:
        with urllib.request.urlopen(f"{parts.scheme}://{parts.netloc}{path}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _link(page: Browser) -> str | None:
    return page.find_element(By.ID, "link").get_attribute("data-state")


def _source(page: Browser) -> str:
    return page.find_element(By.ID, "link").text.rpartition(" ")[2]


def _shown(page: Browser) -> set[str]:
    shown = page.execute_script(
        "return [...document.querySelectorAll('[data-instance]')].map((node) => node.dataset.instance)"
    )
    return set(shown)


def _seen(page: Browser) -> list[dict]:
    return page.execute_script("return window.seen.map((state) => JSON.parse(state))")


def _stages(page: Browser) -> list[str]:
    """The recorded stages in order, without repetitions."""
    stages: list[str] = []
    for state in _seen(page):
        if state["stage"] in STAGES and state["stage"] not in stages[-1:]:
            stages.append(state["stage"])
    return stages
