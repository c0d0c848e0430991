"""The loop by which a node joins: look, decide, do a single step, and look again.

It keeps no important state in memory, so it may be killed anywhere and started again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Set, Tuple, Union

from ..change import Change, State
from ..counting import counted
from ..errors import SwarmError
from . import token_publication
from .cluster_record import ClusterRecord, InvalidClusterRecord
from .join_decision import (
    Action,
    Claim,
    Finish,
    Initialise,
    Join,
    Leave,
    Me,
    NodeView,
    Publish,
    Refuse,
    Sighting,
    Unlock,
    Wait,
    decide,
    hindrance,
    holder_matters,
)
from .ports import (
    ACTIVE,
    LISTENS,
    Clock,
    Engine,
    Instances,
    JoinPending,
    JoinRefused,
    Membership,
    Outcome,
    Peer,
    Reporter,
    Store,
    Stored,
)

_SOONEST, _LATEST = 0.5, 3.0
# Longer waits if something does not answer.
_SOONEST_AFTER_ERROR, _LATEST_AFTER_ERROR = 1.0, 15.0
_SLOWER = 1.5
# A node is deleted if so many lists in a row do not have it.
LISTS = 3


class JoinTimeout(SwarmError):
    """The time is over; the message says what was awaited last."""


class CannotJoin(SwarmError):
    """Only a person can resolve this; nothing was changed."""


@dataclass(frozen=True)
class Joined:
    """The node is a member."""

    cluster_id: str
    node_id: str


# The membership, a reason to wait, or None if something was done.
Step = Union[Joined, str, None]


class Joiner:
    """Joins a node to its cluster's swarm."""

    def __init__(
        self, me: Me, store: Store, instances: Instances, engine: Engine, clock: Clock, report: Reporter
    ) -> None:
        self.me, self._store, self._instances, self._engine = me, store, instances, engine
        self._clock, self._report = clock, report
        self.changes: list[Change] = []
        """The changes so far."""
        self._record_since = _Since(clock)
        self.membership_since = _Since(clock)
        self._hindered_since = _Since(clock)
        # The node that is not in the managers' list, and the versions of the list without it.
        self._unlisted: Tuple[str, Set[str]] = ("", set())
        self._failures: Dict[str, int] = {}
        self._said = ""
        self._delay = 0.0

    def run(self, timeout: Optional[float] = None) -> Joined:
        """Continue until the node is a member.

        Raises CannotJoin, or JoinTimeout after ``timeout`` seconds.
        """
        deadline = None if timeout is None else self._clock.now() + timeout
        while True:
            result = self.step()
            if isinstance(result, Joined):
                return result
            if result is None:
                self._delay = 0.0
                continue
            if deadline is not None and self._clock.now() + self._delay > deadline:
                raise JoinTimeout(f"The node is not in the swarm after {timeout:g} s. {result}")
            self._clock.wait(self._delay, result)

    def step(self) -> Step:
        """Look, decide and do a single step.

        Returns the membership once the node is a member, None if something was done, else the reason to wait.
        Raises CannotJoin.
        """
        try:
            result = self._apply(decide(self.me, self.look()))
        except CannotJoin:
            raise
        except SwarmError as error:
            self._slow_down(_SOONEST_AFTER_ERROR, _LATEST_AFTER_ERROR)
            return self._say(str(error))
        if isinstance(result, str):
            self._slow_down(_SOONEST, _LATEST)
            return self._say(result)
        return result

    def look(self) -> NodeView:
        """The view of the node. Raises SwarmError if an important part cannot be read."""
        membership = self._engine.membership()
        # After the engine, so that the record is as new as possible when a swarm is initialised or left.
        cluster_record, flaw = None, ""
        try:
            cluster_record = self._store.read()
        except InvalidClusterRecord as error:
            flaw = str(error)
        return NodeView(
            cluster_record=cluster_record,
            record_age=self._record_since.age(cluster_record.version if cluster_record else None),
            membership=membership,
            membership_age=self.membership_since.age((membership.state, membership.cluster_id)),
            holder=self._holder(cluster_record),
            flaw=flaw,
            deleted=self._deleted(cluster_record, membership),
        )

    def _deleted(self, cluster_record: Optional[Stored[ClusterRecord]], engine: Membership) -> bool:
        """Whether this node was deleted although its engine is active.

        The first list without it may be from before it joined, and the second may have been begun before that.
        """
        published = cluster_record.value.cluster_id if cluster_record else None
        if engine.state != ACTIVE or engine.node_id is None or engine.cluster_id != published or published is None:
            return False
        nodes = self._store.read_nodes(published)
        if nodes is None or engine.node_id in nodes.value or self._unlisted[0] != engine.node_id:
            self._unlisted = (engine.node_id, set())
        if nodes is not None and engine.node_id not in nodes.value:
            self._unlisted[1].add(nodes.version)
        return len(self._unlisted[1]) >= LISTS

    def _holder(self, cluster_record: Optional[Stored[ClusterRecord]]) -> Optional[str]:
        if cluster_record is None or not holder_matters(self.me, cluster_record.value):
            return None
        return self._instances.state(cluster_record.value.claimed_by)

    def _apply(self, action: Action) -> Step:
        if isinstance(action, Wait):
            return action.reason
        if isinstance(action, Refuse):
            raise CannotJoin(action.reason)
        if isinstance(action, Claim):
            return self._claim(action)
        if isinstance(action, Initialise):
            return self._initialise()
        if isinstance(action, Publish):
            return self._publish(action)
        if isinstance(action, Leave):
            self._say(f"{action.reason} Leaving it.")
            self._engine.leave(action.cluster_id)
            self._note("swarm of this node", {"swarm": action.cluster_id or "unfinished"}, None)
            return None
        if isinstance(action, Join):
            return self._join(action)
        if isinstance(action, Unlock):
            return self._unlock()
        return self._finish(action)

    def _claim(self, action: Claim) -> Optional[str]:
        before = action.before
        claim = ClusterRecord.claim(self.me.instance, self._clock.timestamp(), before.value if before else None)
        self._say(f"{action.reason} Claiming the right to initialise it.")
        outcome = self._store.replace(claim, before.version) if before else self._store.create(claim)
        if outcome is not Outcome.WRITTEN:
            return f"The claim was not written: {outcome.value}."
        self._note(
            "claim to initialise the swarm",
            {"claimed_by": before.value.claimed_by} if before else None,
            {"claimed_by": claim.claimed_by},
        )
        return None

    def _initialise(self) -> Optional[str]:
        reason = "" if self.me.new_swarm else hindrance(self._sightings(), self._hindered_since.age(True))
        if reason:
            return reason
        self._say("Initialising the swarm.")
        self._engine.init(self.me.mark)
        self._note("swarm of this node", None, {"made_by": self.me.mark})
        return None

    def _sightings(self) -> Optional[Sequence[Sighting]]:
        """The cluster's other running managers; None if EC2's answer is older than this instance."""
        managers = self._instances.running_managers()
        peers = [peer for peer in managers if peer.instance != self.me.instance]
        if len(peers) == len(managers):
            return None
        answers = {peer.instance: self._engine.probe(peer.address) for peer in peers}
        launching = self._instances.launching(list(answers)) if answers else set()
        return [Sighting(instance, answer, instance in launching) for instance, answer in sorted(answers.items())]

    def _publish(self, action: Publish) -> Optional[str]:
        """Publish the tokens and then the swarm.

        The tokens' versions are read before the cluster record is read again. So if another node takes the claim over,
        it writes its tokens later, and this node's late writes fail.
        """
        present = token_publication.seen(self._store)
        secrets = self._engine.tokens()
        cluster_record = self._store.read()
        if cluster_record != action.claim:
            return "Another node has taken the claim over."
        self.changes += token_publication.write(self._store, present, action.cluster_id, secrets)
        outcome = self._store.replace(action.claim.value.formed(action.cluster_id), action.claim.version)
        if outcome is not Outcome.WRITTEN:
            return f"The swarm was not published: {outcome.value}."
        self._say(f"Published the swarm {action.cluster_id}.")
        self._note("published swarm", None, {"swarm": action.cluster_id})
        return None

    def _join(self, action: Join) -> Optional[str]:
        token = self._store.read_token(self.me.role)
        if token is None or token.value.cluster_id != action.cluster_id:
            return f"The swarm {action.cluster_id} has published no join token for {self.me.role}s yet."
        peers = [peer for peer in self._instances.running_managers() if peer.instance != self.me.instance]
        if not peers:
            return (
                f"The swarm {action.cluster_id} is published, but EC2 knows no other running manager. If its managers "
                "are lost for good, restore the swarm with playbooks/restore.yml."
            )
        # The initialiser is certainly a member. Managers that did not let this node in come last the next time.
        failures = self._failures
        refusals = []
        for peer in sorted(
            peers, key=lambda candidate: (failures.get(candidate.instance, 0), candidate.instance != action.initialiser)
        ):
            if self._engine.probe(peer.address) != LISTENS:
                continue
            failures[peer.instance] = failures.get(peer.instance, 0) + 1
            self._say(f"Joining the swarm {action.cluster_id} through {peer.instance} ({peer.address}).")
            try:
                self._engine.join(peer.address, token.value.secret, action.epoch)
            except JoinRefused as error:
                refusals.append(f"{peer.instance} ({peer.address}): {error}")
                continue
            except JoinPending as error:
                return str(error)
            self._note("swarm of this node", None, {"swarm": action.cluster_id, "role": self.me.role})
            return None
        return "Not let in yet. " + " ".join(refusals) if refusals else _silent(peers, action.cluster_id)

    def _unlock(self) -> Optional[str]:
        """Try the stored keys, the newest first: the right key depends on when this manager was last up."""
        keys = self._store.unlock_keys()
        for key in keys:
            if self._engine.unlock(key):
                self._say("Unlocked this manager's state.")
                self._note("state of this manager", {"locked": True}, {"locked": False})
                return None
        found = f"none of {counted(len(keys), 'stored key')} fits" if keys else "no unlock key is stored"
        return f"This manager's state is locked, and {found}: enter another key with `docker swarm unlock`."

    def _finish(self, action: Finish) -> Joined:
        if action.epoch:
            self._engine.remember(action.epoch)
        if action.repair:
            present = token_publication.seen(self._store)
            if token_publication.foreign(present, action.cluster_id):
                self._say("Publishing the join tokens, which were missing.")
                self.changes += token_publication.write(self._store, present, action.cluster_id, self._engine.tokens())
        return Joined(action.cluster_id, action.node_id)

    def _note(self, resource: str, before: State, after: State) -> None:
        self.changes.append(Change(resource, before, after))

    def _say(self, sentence: str) -> str:
        """Report a sentence, once."""
        if sentence != self._said:
            self._report(sentence)
            self._said = sentence
        return sentence

    def _slow_down(self, soonest: float, latest: float) -> None:
        self._delay = min(max(self._delay * _SLOWER, soonest), latest)


class _Since:
    """For how long a value has been unchanged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._what: object = self
        self._since = 0.0

    def age(self, what: object) -> float:
        """Seconds since the present value was first seen."""
        if what != self._what:
            self._what, self._since = what, self._clock.now()
        return self._clock.now() - self._since


def _silent(peers: Sequence[Peer], cluster_id: str) -> str:
    names = ", ".join(sorted(peer.instance for peer in peers))
    return (
        f"The swarm {cluster_id} is published, but none of the running managers ({names}) answers on port 2377. If its "
        "managers are lost for good, restore the swarm with playbooks/restore.yml."
    )
