# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: terminal
type: stdout
short_description: Print a line for each task, with its progress and duration
version_added: 0.1.0
description:
  - Prints a line for each task, with its result on all hosts and its duration, then its changes, its messages, and its
    diff with C(--diff). A failure is shown with its message, the task's file and line, and a command's output.
  - While a task runs, a terminal shows its elapsed time, its timeout if it has one, and for a task with C(until)
    the number of the try and the message of the last try.
  - If the output is not a terminal, as in CI, no line is overwritten. A long task prints a line from time to time
    instead.
  - The end is Ansible's own recap, the total duration, and the slowest tasks.
  - Of a play whose variable C(terminal_quiet) is true, only the messages of C(ansible.builtin.debug) are printed, as
    text or as JSON, for other commands, and failures on standard error. A terminal still shows the running task.
  - E(NO_COLOR) and Ansible's other settings for colours are honoured. With C(-v) all plays and the results are printed
    too, with C(-vvv) also what is internal to Ansible.
author: The swarm.aws maintainers (@swarm-aws)
requirements:
  - ansible-core 2.19 or later
extends_documentation_fragment:
  - result_format_callback
"""

import json
import os
import re
import shutil
import sys
import threading
import time

from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar
from ansible.utils.color import colorize, hostcolor, stringc
from ansible.utils.display import get_text_width

from ..module_utils._core.counting import counted

# Longer lines are hard to read, even on a wider terminal.
WIDEST = 100
NARROWEST = 40
# Columns of a task's name that are always shown.
NAME = 16
INDENT = "      "
# Seconds until the first and between later lines about a running task if the output is not a terminal.
SILENCE = 30.0
REPEAT = 60.0
# Seconds between two paints of the running task's line.
PAINT = 1.0
# The number of slowest tasks in the summary, and the seconds from which a task is slow.
SLOWEST = 5
SLOW = 1.0

# The results of a task, the worst first. The worst result gives the colour of a task on several hosts.
COLOURS = {
    "FAILED": constants.COLOR_ERROR,
    "UNREACHABLE": constants.COLOR_UNREACHABLE,
    "failed, ignored": constants.COLOR_WARN,
    "unreachable, ignored": constants.COLOR_WARN,
    "not yet": constants.COLOR_WARN,
    "changed": constants.COLOR_CHANGED,
    "ok": constants.COLOR_OK,
    "skipped": constants.COLOR_SKIP,
}
# The parts of a failure's result that are printed beside its message, and those that only -vvv prints.
OUTPUT = {"cmd", "rc", "stdout", "stderr", "module_stdout", "module_stderr"}
INTERNAL = {
    "ansible_index_var",
    "ansible_loop_var",
    "failed_when_result",
    "false_condition",
    "skip_reason",
}
# The variable of plays of which only the documents are printed.
QUIET = "terminal_quiet"
# Ansible's own task that validates a role's arguments.
VALIDATE = {"validate_argument_spec", "ansible.builtin.validate_argument_spec"}
WAIT = {"wait_for_connection", "ansible.builtin.wait_for_connection"}
# The limit of a wait in the task's name, in seconds.
NAMED_LIMIT = re.compile(r", for (\d+) s at most")
# Nothing is overwritten while a task waits for input.
PAUSE = {"pause", "ansible.builtin.pause", "ansible.legacy.pause"}


def duration(seconds):
    """Seconds as `3.2 s`, `1:04` or `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return clock(seconds)


def clock(seconds):
    """Seconds as `0:42`, with a steady width."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def shorten(text, width):
    """The text on a single line of at most ``width`` columns."""
    text = " ".join(text.split())
    if get_text_width(text) <= width:
        return text
    while text and get_text_width(text) > width - 1:
        text = text[:-1]
    return f"{text.rstrip()}…"


def lines_of(value):
    """A message's lines, from a string or a list of strings; None for anything else."""
    if isinstance(value, str):
        return value.rstrip("\n").split("\n")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [line for item in value for line in item.split("\n")]
    return None


def awaited_in(found):
    """What a result waits for, a phrase each."""
    return lines_of(found.get("msg")) or lines_of(found.get("awaited")) or []


def from_here(path):
    """The path relative to the working directory if it is below it, otherwise unchanged."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def only_failures(task):
    """Whether a task is only printed if it fails: the tasks of an include have their own lines."""
    return isinstance(task, TaskInclude) or task.action in VALIDATE


class Running:
    """A running task and its results so far."""

    def __init__(self, task, name, now):
        self.uuid, self.task, self.name = task._uuid, task, NAMED_LIMIT.sub("", name)
        self.began = self.ended = now
        # The hosts on which it has started, and the results of the hosts on which it has ended.
        self.started = set()
        self.outcomes = {}
        # The lines under the task's line, each with its colour and host.
        self.body = []
        # Its nearest timeout in seconds; by host the number of the next try; its maximum; what the last try said.
        self.limit = min(map(float, NAMED_LIMIT.findall(name)), default=None)
        self.tries = {}
        self.most_tries = 0
        self.said = ""
        self.speak_at = now + SILENCE

    @property
    def outcome(self):
        """The result on all hosts: `ok`, or `2 changed, 1 ok`."""
        kinds = list(self.outcomes.values())
        if len(kinds) <= 1:
            return kinds[0] if kinds else "done"
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in COLOURS if kind in kinds)

    @property
    def colour(self):
        return next((COLOURS[kind] for kind in COLOURS if kind in self.outcomes.values()), constants.COLOR_OK)

    def waited(self, now):
        """The time so far and the nearer limit, such as `0:42 of at most 15:00` or `0:42, try 9 of 60`."""
        elapsed, number = now - self.began, max(self.tries.values(), default=0)
        text = clock(elapsed)
        if number and (not self.limit or number / self.most_tries >= elapsed / self.limit):
            text += f", try {number} of {self.most_tries}"
        elif self.limit:
            text += f" of at most {clock(self.limit)}"
        return f"{text}, {len(self.outcomes)} of {len(self.started)} hosts" if len(self.started) > 1 else text

    def unfinished(self, host, found):
        """Whether a wait ended without what it waits for, but did not fail: a later task continues or reports it."""
        if "look_for" in self.task.args:
            return bool(found.get("awaited"))
        if self.task.action in WAIT:
            return "failed_when_suppressed_exception" in found
        # Ansible gives the number of the last try as one less if it is not met.
        return self.tries.get(host, 0) > found.get("attempts", self.most_tries)


class CallbackModule(CallbackBase):
    """Prints a line for each task.

    Only ``task._uuid`` tells which task a result is of, since tasks of loops and includes share names. A thread
    repaints the line, since Ansible calls no callback while a task runs.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "swarm.aws.terminal"

    def __init__(self, *args, now=time.monotonic, **more):
        super().__init__(*args, **more)
        self._now = now
        self._lock = threading.RLock()
        self._live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._play = None
        # The heading of a play of which nothing has been printed; whether only its documents are printed.
        self._heading = ""
        self._quiet = False
        self._running = None
        # The width of the unfinished line, and whether it is overwritten.
        self._open = 0
        self._painted = False
        self._began = now()
        self._times = []
        self._failed = []
        self._over = threading.Event()

    # Plays and tasks

    def v2_playbook_on_start(self, playbook):
        threading.Thread(target=self._keep_telling, name="terminal", daemon=True).start()

    def v2_playbook_on_play_start(self, play):
        with self._lock:
            self._finish()
            self._play = play
            self._quiet = not self._display.verbosity and self._templated(play.get_vars().get(QUIET)) is True
            self._heading = f"\nPLAY [{play.get_name().strip()}]{' [CHECK MODE]' if play.check_mode else ''}"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._begin(task)

    def v2_playbook_on_vars_prompt(self, *args, **more):
        with self._lock:
            self._finish()

    def v2_runner_on_start(self, host, task):
        with self._lock:
            running = self._running
            if running is None or task._uuid != running.uuid:
                return
            if not running.started:
                running.limit = min(filter(None, (running.limit, self._limit(host, task))), default=None)
            running.started.add(host.get_name())

    def v2_runner_retry(self, result):
        with self._lock:
            running = self._running_for(result)
            found = result.result
            running.tries[result.host.get_name()], running.most_tries = found["attempts"], found["retries"]
            running.said = "; ".join(awaited_in(found))

    # Results

    def v2_runner_on_ok(self, result):
        changed = result.result.get("changed", False)
        self._note(result, "changed" if changed else "ok")

    def v2_runner_on_skipped(self, result):
        self._note(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._note(result, "failed, ignored" if ignore_errors else "FAILED")

    def v2_runner_on_unreachable(self, result):
        self._note(result, "unreachable, ignored" if result.task.ignore_unreachable else "UNREACHABLE")

    def v2_runner_item_on_ok(self, result):
        with self._lock:
            self._warn(result)
            self._speak(result)

    def v2_runner_item_on_failed(self, result):
        with self._lock:
            self._warn(result)
            word = "an item failed, ignored" if result.task.ignore_errors else "an item FAILED"
            self._complain(result, f"{self.host_label(result)}, {self._get_item_label(result.result)}", word)

    def v2_on_file_diff(self, result):
        with self._lock:
            found = result.result
            for item in found.get("results") or [found] if result.task.loop else [found]:
                if item.get("diff") and item.get("changed"):
                    text = self._get_diff(item["diff"])
                    self._add(result, text.rstrip("\n").split("\n") if text else [])

    def v2_playbook_on_stats(self, stats):
        with self._lock:
            self._finish()
            self._over.set()
            if not self._times:
                return
            self._print("\nPLAY RECAP", constants.COLOR_HIGHLIGHT)
            for host in sorted(stats.processed):
                counts = stats.summarize(host)
                cells = [
                    colorize("ok", counts["ok"], constants.COLOR_OK),
                    colorize("changed", counts["changed"], constants.COLOR_CHANGED),
                    colorize("unreachable", counts["unreachable"], constants.COLOR_UNREACHABLE),
                    colorize("failed", counts["failures"], constants.COLOR_ERROR),
                    colorize("skipped", counts["skipped"], constants.COLOR_SKIP),
                    colorize("rescued", counts["rescued"], constants.COLOR_OK),
                    colorize("ignored", counts["ignored"], constants.COLOR_WARN),
                ]
                self._print(f"{hostcolor(host, counts)} : {' '.join(cells)}")
            took = self._now() - self._began
            mode = " Nothing was changed: this was check mode." if context.CLIARGS.get("check") else ""
            self._print(f"\n{counted(len(self._times), 'task')} in {duration(took)}.{mode}")
            slow = sorted((time for time in self._times if time[0] >= SLOW), key=lambda time: -time[0])[:SLOWEST]
            for seconds, name in slow:
                self._print(f"  {duration(seconds):>8}  {shorten(name, self._width() - 12)}")
            for sentence in self._failed:
                self._print(f"Failed: {sentence}", constants.COLOR_ERROR)

    # A task's life

    def _begin(self, task):
        with self._lock:
            self._finish()
            if only_failures(task):
                return
            self._start(task, task.name or task.get_name())
            if self._display.verbosity >= 2:
                self._running.body.append((f"at {task.get_path()}", constants.COLOR_DEBUG, None))
            if not self._live and not self._quiet:
                # The name can be read while the task runs.
                self._write(f"  {self._running.name} ")

    def _running_for(self, result):
        """The running task. With another strategy than linear, the result may be of a different task."""
        if self._running is None or self._running.uuid != result.task._uuid:
            self._finish()
            self._start(result.task, str(result.task_name).rsplit(" : ", maxsplit=1)[-1])
        return self._running

    def _start(self, task, name):
        self._running = Running(task, " ".join(name.split()), self._now())
        if self._heading and not self._quiet:
            self._print(self._heading, constants.COLOR_HIGHLIGHT)
            self._heading = ""

    def _finish(self):
        """Print the line of the task that has ended, and the lines under it."""
        running, self._running = self._running, None
        if running is None or self._quiet:
            self._erase()
            return
        took = running.ended - running.began
        name, end = f"  {running.name} ", f" {running.outcome}  {duration(took)}"
        dots = "." * max(3, self._width() - get_text_width(name) - get_text_width(end))
        self._times.append((took, running.name))
        if self._open and not self._painted:
            self._write(
                stringc(dots, constants.COLOR_SKIP) + stringc(end, running.colour) + "\n", whole=f"{name}{dots}{end}"
            )
            self._open = 0
        else:
            self._print(name + stringc(dots, constants.COLOR_SKIP) + stringc(end, running.colour))
        heading = None
        for line, colour, host in running.body:
            if host not in (heading, None) and len(running.outcomes) > 1:
                self._print(f"{INDENT}{host}:")
                heading = host
            self._print(INDENT + line if line else "", colour)

    def _note(self, result, outcome):
        """Record the result of a host."""
        with self._lock:
            failed = outcome in ("FAILED", "UNREACHABLE")
            if only_failures(result.task) and not failed:
                return
            running = self._running_for(result)
            running.ended = self._now()
            if outcome in ("ok", "changed") and running.unfinished(result.host.get_name(), result.result):
                outcome = "not yet"
            running.outcomes[result.host.get_name()] = outcome
            self._warn(result)
            label = self.host_label(result)
            if failed:
                self._failed.append(f"{running.name} ({label})")
            if result.task.loop and "results" in result.result:
                # Each item has been printed already.
                return
            if failed or outcome in ("failed, ignored", "unreachable, ignored"):
                self._complain(result, label, outcome)
            elif outcome == "not yet":
                self._add(result, awaited_in(result.result), constants.COLOR_WARN)
            elif outcome != "skipped":
                self._speak(result)

    def _speak(self, result):
        """Keep a result's messages for the lines under the task's line."""
        found = result.result
        if result.task.action in constants._ACTION_DEBUG:
            self._clean_results(found, result.task.action)
            said = lines_of(found.get("msg"))
            if self._quiet:
                self._print("\n".join(said) if said else json.dumps(found.get("msg", found), indent=2))
            else:
                self._add(result, said or self._dump(found))
        elif self._run_is_verbose(result):
            self._add(result, self._dump(found))
        # A diff names the resource too.
        if found.get("changed") and not (context.CLIARGS.get("diff") and found.get("diff")):
            self._add(result, lines_of(found.get("changes")) or [], constants.COLOR_CHANGED)

    def _add(self, result, lines, colour=None):
        self._running_for(result).body += [(line, colour, result.host.get_name()) for line in lines]

    def _complain(self, result, label, word):
        """Print a failure: the message, the task's file and line, and the output of a command."""
        running, found = self._running_for(result), result.result
        self._clean_results(found, result.task.action)
        ignored = "ignored" in word
        if self._quiet and ignored:
            return
        first, *more = lines_of(found.get("msg")) or [found.get("censored") or str(found.get("msg", "It failed."))]
        told = [f"{label}: {first}", *more]
        if result.task.get_path() and not self._quiet:
            told.append(f"at {from_here(result.task.get_path())}")
        shown = {
            key: value
            for key, value in found.items()
            if value not in (None, "") and key != "msg" and (key in OUTPUT or self._display.verbosity)
        }
        told += self._dump(shown) if shown else []
        colour = constants.COLOR_WARN if ignored else constants.COLOR_ERROR
        if self._quiet:
            self._print("\n".join(told), colour, stderr=True)
        elif running.started - set(running.outcomes):
            # Show the failure now, not after the other hosts are done.
            self._print(f"  {running.name}: {word}", colour)
            for line in told:
                self._print(INDENT + line, colour)
        else:
            running.body += [(line, colour, None) for line in told]

    def _dump(self, found):
        """A result's lines, without what is internal."""
        if self._display.verbosity < 3:
            found = {key.removeprefix("module_"): value for key, value in found.items() if key not in INTERNAL}
        return [line for line in self._dump_results(found).split("\n") if line]

    def _warn(self, result):
        if self._display.verbosity < 3:
            # It repeats the message.
            result.result.pop("exception", None)
        deprecations = constants.DEPRECATION_WARNINGS and result.result.get("deprecations")
        if deprecations or result.result.get("warnings") or result.result.get("exception"):
            self._break()
            self._handle_warnings_and_exception(result)

    def _limit(self, host, task):
        """The task's `timeout` in seconds; None if it is not set or unknown."""
        value = self._templated(task.args.get("timeout") or task.timeout or None, host=host, task=task)
        try:
            return None if value is None else float(value)
        except (TypeError, ValueError):
            return None

    def _templated(self, value, **scope):
        """A value with its variables; None if they are unknown."""
        try:
            known = (
                self._play.get_variable_manager().get_vars(play=self._play, **scope) if isinstance(value, str) else {}
            )
            return Templar(loader=None, variables=known).template(value)
        except AnsibleError:
            return None

    # The screen

    def _keep_telling(self):
        """Show the progress of the running task until the end."""
        while not self._over.wait(PAINT):
            with self._lock:
                if self._running and self._running.task.action not in PAUSE:
                    self._tell(self._running)

    def _tell(self, running):
        now = self._now()
        waited, said = running.waited(now), f": {running.said}" if running.said else ""
        if self._live:
            # Leave the last column free, since some terminals begin a new line after it.
            room = self._width() - 5
            name = shorten(running.name, max(room - get_text_width(waited), NAME))
            self._paint(f"  {name}  ", shorten(waited + said, room - get_text_width(name)))
        elif now >= running.speak_at and not self._quiet:
            running.speak_at = now + REPEAT
            self._print(f"{INDENT}still waiting: {waited}{said}")

    def _paint(self, name, state):
        self._erase()
        self._display.display(name + stringc(state, constants.COLOR_HIGHLIGHT), screen_only=True, newline=False)
        sys.stdout.flush()
        self._open, self._painted = get_text_width(name + state), True

    def _erase(self):
        """Erase a painted line."""
        if self._painted:
            self._display.display("\r\x1b[2K", screen_only=True, newline=False)
        self._open, self._painted = (0, False) if self._painted else (self._open, False)

    def _break(self):
        """Begin a new line for the next text."""
        self._erase()
        if self._open:
            self._display.display("", screen_only=True)
            self._open = 0

    def _write(self, text, whole=None):
        """Write a part of a line; ``whole`` is the line for the log."""
        self._display.display(text, screen_only=True, newline=False)
        sys.stdout.flush()
        self._open += get_text_width(text)
        if whole is not None:
            self._display.display(whole, log_only=True)

    def _print(self, text, colour=None, **more):
        self._break()
        self._display.display(text, color=colour, **more)
        sys.stdout.flush()

    @staticmethod
    def _width():
        return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
