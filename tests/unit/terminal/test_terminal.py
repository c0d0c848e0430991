"""The terminal's callback: what a playbook's run looks like in a terminal and in a pipe, and its parts with a clock."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from fcntl import ioctl
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.callback import terminal

pytestmark = pytest.mark.real(
    "ansible-playbook: a callback is called by its process alone, in a terminal and in a pipe"
)

ROOT = Path(__file__).resolve().parents[3]
TASKS = Path(__file__).with_name("tasks.yml")
COLUMNS = 72
ERASE = "\r\x1b[2K"


class Recorded:
    """What a run wrote, byte by byte."""

    def __init__(self, text: str, code: int) -> None:
        self.text, self.code = text, code

    @property
    def paints(self) -> list[str]:
        """The lines that were written over, in their order."""
        return re.findall(r"(?:^|\n|\x1b\[2K)([^\n\r]+)" + re.escape(ERASE), self.text)

    @property
    def lines(self) -> list[str]:
        """What stands in the end."""
        return [line.rpartition(ERASE)[2] for line in self.text.split("\n")]


def start(file: Path, output: int, **more: str) -> subprocess.Popen[bytes]:
    """Begin to run the tasks, one of which waits for a file of a longer name."""
    words = ["ansible-playbook", "-i", "one,two,", "--diff", "-e", f"file={file}", TASKS]
    usual = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "ANSIBLE_NOCOLOR", "COLUMNS")}
    environment = usual | {"TERM": "xterm-256color", "ANSIBLE_STDOUT_CALLBACK": "swarm.aws.terminal", **more}
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True
    )
    os.close(output)
    return process


def record(folder: Path, *, terminal_: bool, **more: str) -> Recorded:
    """Run the tasks; the file that one of them waits for comes after three seconds of its wait."""
    file = folder / "file"
    ours, theirs = pty.openpty() if terminal_ else os.pipe()
    if terminal_:
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = start(file, theirs, **more)
    done = threading.Event()

    def come_later() -> None:
        while not file.exists() and not done.wait(0.1):
            pass
        if not done.wait(3):
            file.with_suffix(".later").touch()

    bringer = threading.Thread(target=come_later)
    bringer.start()
    read = b""
    try:
        while chunk := os.read(ours, 65536):
            read += chunk
    except OSError:
        pass  # A terminal that nobody writes to any more.
    done.set()
    bringer.join()
    os.close(ours)
    return Recorded(read.decode().replace("\r\n", "\n"), process.wait())


@pytest.fixture(scope="module")
def in_terminal(tmp_path_factory) -> Recorded:
    return record(tmp_path_factory.mktemp("terminal"), terminal_=True, NO_COLOR="1")


@pytest.fixture(scope="module")
def in_pipe(tmp_path_factory) -> Recorded:
    return record(tmp_path_factory.mktemp("pipe"), terminal_=False)


@pytest.mark.parametrize("where", ["in_terminal", "in_pipe"])
def test_a_task_has_a_line_with_its_result_and_duration(where, request):
    run = request.getfixturevalue(where)
    for line in (
        r"  Say something \.+ 2 ok  [\d.]+ s",
        r"  Make a file \.+ changed  [\d.]+ s",
        r"  Try until nothing is missing \.+ ok  [\d.]+ s",
        r"  Fail with a secret \.+ failed, ignored  [\d.]+ s",
        r"  Refuse \.+ 1 FAILED, 1 skipped  [\d.]+ s",
    ):
        assert [text for text in run.lines if re.fullmatch(line, text)], f"{line} in\n{run.text}"
    assert "      +++ after: " in run.text and "      +made" in run.lines
    assert "      it's the second" in run.lines
    assert run.code == 2


@pytest.mark.parametrize("where", ["in_terminal", "in_pipe"])
def test_the_recap_names_slow_and_failed_tasks(where, request):
    run = request.getfixturevalue(where)
    assert re.search(r"\nPLAY RECAP\none +: ok=8 +changed=3 +unreachable=0 +failed=0", run.text), run.text
    assert re.search(r"\n9 tasks in [\d.]+ s\.\n +[\d.]+ s  \w", run.text), run.text
    assert re.search(r"\n +[\d.]+ s  Wait for what takes a while\n", run.text), run.text
    assert run.lines[-2] == "Failed: Refuse (two)"


@pytest.mark.parametrize("where", ["in_terminal", "in_pipe"])
def test_a_wait_that_ended_too_early_is_not_shown_as_over(where, request):
    run = request.getfixturevalue(where)
    assert re.search(r"  Try for too short a time \.+ not yet  [\d.]+ s\n +1 of 3 nodes ready\n", run.text), run.text
    assert re.search(r"that does not answer \.+ not yet  [\d.]+ s\n +timed out.*Connection refused", run.text), run.text


@pytest.mark.parametrize("where", ["in_terminal", "in_pipe"])
def test_a_failure_is_shown_completely_but_without_secrets(where, request):
    run = request.getfixturevalue(where)
    sentence = "A sentence that is longer than any line. " * 5 + "It ends here."
    assert f"      two: {sentence}" in run.lines
    assert re.search(r"\n      at tests/unit/terminal/tasks\.yml:\d+\n", run.text)
    assert "hunter2" not in run.text


def test_a_terminal_shows_the_duration_and_reason_of_a_wait(in_terminal):
    waits = [paint for paint in in_terminal.paints if "Wait for what takes" in paint]
    assert waits and re.search(r"0:0\d of at most 1:30$", waits[-1]), in_terminal.paints
    tries = [paint for paint in in_terminal.paints if "Try until" in paint]
    assert [paint for paint in tries if re.search(r"try \d of 6: one", paint)], in_terminal.paints


def test_lines_fit_the_width_of_the_terminal(in_terminal):
    assert max(len(paint) for paint in in_terminal.paints) < COLUMNS
    titles = [line for line in in_terminal.lines if re.search(r" \.\.\.+ ", line)]
    assert {len(title) for title in titles} == {COLUMNS}


def test_colours_can_be_disabled(in_terminal):
    assert "\x1b[" not in in_terminal.text.replace(ERASE, "")


def test_a_pipe_gets_no_control_characters_and_no_retries(in_pipe):
    assert "\x1b" not in in_pipe.text and "\r" not in in_pipe.text
    assert "RETRYING" not in in_pipe.text


def test_a_pipe_has_a_tasks_name_when_the_task_starts(tmp_path):
    """Anyone who reads the output, or kills the run, then knows the current task."""
    reading, writing = os.pipe()
    process = start(tmp_path / "file", writing)
    read, deadline = b"", time.monotonic() + 60
    try:
        while not read.endswith(b"\n  Wait for what takes a while ") and time.monotonic() < deadline:
            read += os.read(reading, 1)
    finally:
        process.kill()
        process.wait()
        os.close(reading)
    assert read.endswith(b"\n  Wait for what takes a while "), read


# The parts


class Screen:
    """Ansible's display, of which everything can be read again."""

    verbosity = 0

    def __init__(self) -> None:
        self.text = self.errors = ""

    def display(self, text, color=None, newline=True, log_only=False, stderr=False, **more) -> None:
        if stderr:
            self.errors += text + "\n"
        elif not log_only:
            self.text += text + ("\n" if newline else "")


def task(name: str = "Wait for the nodes", **more):
    given = {"_uuid": name, "name": name, "args": {}, "timeout": 0, "action": "swarm.aws.stack_nodes"}
    given |= {"loop": None, "delegate_to": None}
    return SimpleNamespace(**(given | more), get_path=lambda: "", get_name=lambda: name)


def test_a_pipe_shows_a_long_wait_from_time_to_time():
    seconds, screen = [0.0], Screen()
    callback = terminal.CallbackModule(display=screen, now=lambda: seconds[0])
    callback._live = False
    callback.v2_playbook_on_task_start(task(args={"timeout": 900}), False)
    callback.v2_runner_on_start(SimpleNamespace(get_name=lambda: "one"), callback._running.task)
    for now in range(100):
        seconds[0] = float(now)
        callback._tell(callback._running)
    callback._running.tries, callback._running.most_tries, callback._running.said = {"one": 3}, 60, "1 of 3 nodes ready"
    seconds[0] = 160.0
    callback._tell(callback._running)
    assert screen.text.split("\n") == [
        "  Wait for the nodes ",
        "      still waiting: 0:30 of at most 15:00",
        "      still waiting: 1:30 of at most 15:00",
        "      still waiting: 2:40 of at most 15:00: 1 of 3 nodes ready",
        "",
    ]


def play(**variables):
    manager = SimpleNamespace(get_vars=lambda **scope: variables)
    return SimpleNamespace(
        check_mode=False, get_name=lambda: "Show", get_vars=lambda: variables, get_variable_manager=lambda: manager
    )


def result(task_, **found):
    host = SimpleNamespace(name="one", get_name=lambda: "one")
    return SimpleNamespace(result=found, task=task_, host=host, task_name=task_.name)


def shown(*results, verbosity: int = 0, **variables) -> Screen:
    """A play's screen after these results; those of failures have the key failed."""
    screen = Screen()
    screen.verbosity = verbosity
    callback = terminal.CallbackModule(display=screen, now=lambda: 0.0)
    callback._live = False
    callback.v2_playbook_on_play_start(play(**variables))
    for each in results:
        callback.v2_playbook_on_task_start(each.task, False)
        (callback.v2_runner_on_failed if "failed" in each.result else callback.v2_runner_on_ok)(each)
    callback.v2_playbook_on_stats(SimpleNamespace(processed={}, summarize=None))
    return screen


def document(message):
    return result(task("Show the cluster", action="ansible.builtin.debug"), msg=message)


@pytest.mark.parametrize(
    ("message", "text"), [("a\nb", "a\nb\n"), (["a", "b"], "a\nb\n"), ({"a": 1}, '{\n  "a": 1\n}\n')]
)
def test_a_quiet_play_prints_only_its_document(message, text):
    read = result(task("Read the cluster"), changed=True, changes=["create it"])

    screen = shown(read, document(message), terminal_quiet=True)

    assert (screen.text, screen.errors) == (text, "")


def test_a_quiet_play_prints_failures_on_standard_error():
    screen = shown(result(task(), failed=True, msg="AWS did not answer."), terminal_quiet=True)

    assert (screen.text, screen.errors) == ("", "one: AWS did not answer.\n")


@pytest.mark.parametrize(("quiet", "verbosity"), [(False, 0), (True, 1)])
def test_other_plays_and_verbose_runs_print_their_tasks(quiet, verbosity):
    assert "PLAY [Show]" in shown(document("a"), terminal_quiet=quiet, verbosity=verbosity).text


@pytest.mark.parametrize("diff", [False, True])
def test_changes_are_printed_unless_a_diff_names_them(diff, monkeypatch):
    monkeypatch.setattr(terminal, "context", SimpleNamespace(CLIARGS={"diff": diff}))
    changed = result(task(), changed=True, changes=["create the queue web"], diff=[{"before": "", "after": "a"}])

    assert ("create the queue web" in shown(changed).text) is not diff


INTERNAL = {"false_condition": "a", "skip_reason": "b", "ansible_loop_var": "item", "ansible_index_var": "index"}


@pytest.mark.parametrize("found", [{"failed": True, "msg": "No."}, {"results": 7}])
@pytest.mark.parametrize("verbosity", [0, 1])
def test_internals_are_not_shown(found, verbosity):
    screen = shown(result(task(), invocation={}, _ansible_no_log=False, **found, **INTERNAL), verbosity=verbosity)

    assert [key for key in (*INTERNAL, "invocation", "_ansible") if key in screen.text] == []


def test_a_failure_shows_a_commands_output():
    found = {
        "failed": True,
        "msg": "non-zero return code",
        "rc": 3,
        "start": "now",
        "module_stdout": "python3: not found",
    }
    screen = shown(result(task(), **found))

    assert "one: non-zero return code" in screen.text and '"rc": 3' in screen.text
    assert '"stdout": "python3: not found"' in screen.text and "now" not in screen.text


@pytest.mark.parametrize(
    ("name", "timeout", "tries", "words"),
    [
        ("Wait", 900, 0, "1:00 of at most 15:00"),
        ("Wait", 900, 3, "1:00 of at most 15:00"),
        ("Wait", 900, 30, "1:00, try 30 of 60"),
        ("Wait", None, 3, "1:00, try 3 of 60"),
        ("Wait for 2 tasks of web to end, for 90 s at most", 900, 0, "1:00 of at most 1:30"),
        ("Wait for 2 tasks of web to end, for 2000 s at most", 900, 0, "1:00 of at most 15:00"),
    ],
)
def test_only_the_nearer_limit_of_a_wait_is_shown(name: str, timeout: int | None, tries: int, words: str) -> None:
    callback = terminal.CallbackModule(display=Screen(), now=lambda: 0.0)
    callback.v2_playbook_on_task_start(task(name, args={"timeout": timeout}), False)
    running = callback._running
    callback.v2_runner_on_start(SimpleNamespace(get_name=lambda: "one"), running.task)
    if tries:
        running.tries, running.most_tries = {"one": tries}, 60
    assert running.waited(60.0) == words
    assert "at most" not in running.name


def test_a_wait_for_hosts_counts_them() -> None:
    callback = terminal.CallbackModule(display=Screen(), now=lambda: 0.0)
    callback.v2_playbook_on_task_start(task(), False)
    running = callback._running
    running.started, running.outcomes = {"one", "two", "three"}, {"two": "ok"}
    assert running.waited(60.0) == "1:00, 1 of 3 hosts"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (64, "1:04"), (3723, "1:02:03"), (600, "10:00")]
)
def test_durations_are_readable(seconds, words):
    assert terminal.duration(seconds) == words


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("short", 8, "short"),
        ("much too long", 8, "much to…"),
        ("two\nlines", 20, "two lines"),
        ("日本語です", 7, "日本語…"),
    ],
)
def test_a_text_is_shortened_by_columns_not_by_characters(text, width, short):
    assert terminal.shorten(text, width) == short


@pytest.mark.parametrize(
    ("value", "lines"),
    [("a\nb\n", ["a", "b"]), (["a", "b\nc"], ["a", "b", "c"]), ({"a": 1}, None), ([1], None), (None, None)],
)
def test_only_a_text_is_split_into_lines(value, lines):
    assert terminal.lines_of(value) == lines
