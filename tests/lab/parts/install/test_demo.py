"""The README's first command, `make demo`, and `make lab-down`."""

from __future__ import annotations

from tests.lab.site import Site


def test_the_demo_serves_a_page_and_can_run_again(empty: Site) -> None:
    own = {"SWARM_LAB_NAME": f"{empty.lab.name}-demo"}
    try:
        for _ in range(2):
            run = empty.command("make", "demo", **own)
            assert run.code == 0, run.output[-6000:]
            assert '"service": "example_web"' in run.output
            assert run.output.count(" Ready ") == 4
    finally:
        down = empty.command("make", "lab-down", **own)
    assert down.code == 0, down.output
