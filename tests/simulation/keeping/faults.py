"""What can happen to a cluster: each is a function of the world, which does nothing where it makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import interruptions, node_labels
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.events import SPOT_NOTICE
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import CLAIMED, ClusterRecord

from tests.simulation.bucket import CLUSTER_RECORD

from .agent import MOST_SKEW
from .cloud import EPOCH, Machine
from .ports import SQS
from .swarm import Member
from .world import World

JUNK = (
    "{",
    '"text"',
    "[1]",
    "{}",
    '{"detail-type": "Scheduled Event", "detail": {}}',
    '{"detail-type": "EC2 Instance State-change Notification", "detail": null}',
)
FOREIGN = (
    '{"Event": "autoscaling:TEST_NOTIFICATION"}',
    '{"detail-type": "EC2 Instance-terminate Lifecycle Action", "detail": {"EC2InstanceId": "i-elsewhere"}}',
    '{"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {"instance-id": "i-elsewhere"}}',
)


def expendable(world: World, machine: Machine) -> bool:
    """Whether Raft outlives the loss of the instance. Without it, only a restore mends the cluster."""
    voters = world.swarm.voters
    rest = [voter for voter in voters if voter.machine.alive and not voter.left and voter.machine is not machine]
    if machine.group.role == "worker" or not any(voter.machine is machine for voter in voters):
        return True
    # Also one that joins or leaves meanwhile must not make the difference.
    return len(rest) > len(voters) // 2


def some(world: World, role: str | None = None) -> Machine | None:
    """A running instance that Raft can do without."""
    found = [
        machine
        for machine in world.cloud.machines.values()
        if machine.state == "running" and role in (None, machine.group.role) and expendable(world, machine)
    ]
    return world.rng.choice(found) if found else None


def _member(world: World, machine: Machine | None) -> Member | None:
    return world.swarm.member_of(machine) if machine else None


def kill(world: World) -> None:
    """An instance ends hard."""
    machine = some(world)
    if machine:
        world.kill(machine)


def kill_leader(world: World) -> None:
    leader = world.swarm.leader
    if leader and expendable(world, leader.machine):
        world.kill(leader.machine)


def retire(world: World) -> None:
    """Auto Scaling takes an instance out and starts another."""
    machine = some(world)
    if machine:
        world.cloud.begin_termination(machine)


def scale_workers(world: World) -> None:
    group = world.cloud.groups["worker"]
    world.cloud.scale(group, world.rng.randint(0, 3))


def scale_managers(world: World) -> None:
    """To any odd number, as long as all are well: nobody plans a scale-in for a swarm that has lost somebody."""
    group = world.cloud.groups["manager"]
    others = {1, 3, 5} - {group.desired}
    whole = all(voter.machine.engine_up and not voter.left for voter in world.swarm.voters)
    if whole and len(world.swarm.voters) == len(world.cloud.members(group)) == group.desired:
        world.cloud.scale(group, world.rng.choice(sorted(others)))


def request_removal(world: World) -> None:
    """The operator asks for a removal."""
    ask_removal(world, some(world))


def force_removal(world: World) -> None:
    ask_removal(world, some(world), replace=world.rng.random() < 0.5, force=True)


def ask_removal(world: World, machine: Machine | None, *, replace: bool = True, force: bool = False) -> None:
    """Mark the node of an instance as the command does."""
    member = _member(world, machine)
    if member is None or not world.swarm.works or machine is None:
        return
    if not replace and machine.group.role == "manager":
        replace = True
    world.trace("operator", f"asks for the removal of {machine.id}")
    request = interruptions.write_request(EPOCH + world.now, replace=replace, force=force)
    member.labels = {**member.labels, node_labels.REQUESTED: request}
    member.version += 1
    world.queue.publish(json.dumps({"detail-type": "Removal Requested", "detail": {"EC2InstanceId": machine.id}}))
    world.changed()


def spot(world: World) -> None:
    """EC2 takes an instance back, and says so before."""
    machine = some(world)
    if machine:
        interrupt(world, machine, world.rng.choice((40.0, 120.0)))


def interrupt(world: World, machine: Machine, seconds: float) -> None:
    """A spot interruption that takes effect after so many seconds; those before them have passed unheard."""
    world.trace(machine.id, f"spot interruption in {seconds:g} s")
    machine.ends_at = min(world.now + seconds, machine.ends_at or float("inf"))
    world.queue.publish(
        json.dumps(
            {
                "detail-type": "EC2 Spot Instance Interruption Warning",
                "time": world.timestamp(seconds - SPOT_NOTICE),
                "detail": {"instance-id": machine.id, "instance-action": "terminate"},
            }
        )
    )
    world.at(seconds, lambda: world.kill(machine))


def reboot(world: World) -> None:
    machine = some(world)
    if machine:
        world.reboot(machine, world.rng.uniform(3, 40))


def isolate(world: World) -> None:
    """A partition, which heals after a while."""
    machine = some(world)
    if machine is None or world.swarm.isolated:
        return
    world.partition(frozenset({machine}))
    world.at(world.rng.uniform(5, 60), lambda: world.partition(frozenset()))


def rejoin(world: World) -> None:
    machine = some(world)
    if machine:
        world.rejoin(machine)


def split(world: World) -> None:
    """Somebody makes a swarm of its own on a manager, and ends the instance when the mistake is seen."""
    machine = some(world, "manager")
    if machine:
        world.split(machine)
        world.at(world.rng.uniform(10, 40), lambda: world.kill(machine))


def rotate(world: World) -> None:
    world.rotate()


def detach(world: World) -> None:
    """Somebody takes a worker out of its group."""
    machine = some(world, "worker")
    if machine and machine.lifecycle == "InService":
        world.cloud.detach(machine)


def delete_group(world: World) -> None:
    """Somebody deletes the workers' Auto Scaling group by force."""
    world.cloud.delete(world.cloud.groups["worker"])


def complete_hook(world: World) -> None:
    """Somebody completes a lifecycle action that the agent holds."""
    waiting = [
        machine
        for machine in world.cloud.machines.values()
        if machine.waits and machine.leaving and expendable(world, machine)
    ]
    if waiting:
        machine = world.rng.choice(waiting)
        world.work.excuse()
        world.cloud.complete(machine.scaling_group or "", "sim-terminating", machine.id, "CONTINUE")


def change_record(world: World) -> None:
    """Somebody changes the record by hand."""
    zone = world.zone
    if not zone.record.absent and not world.record_is_foreign:
        keep = zone.record.addresses[:1]
        stray = world.own_record("203.0.113.7", *(["2001:db8:ffff::7"] if world.weather.ipv6 else []))
        zone.put_by_hand(world.rng.choice((stray, world.own_record(*keep), Record())))


def take_record(world: World) -> None:
    """Somebody else's record stands there for a while."""
    if world.record_is_foreign:
        return
    before = world.zone.record
    world.record_is_foreign = True
    world.zone.put_by_hand(
        world.rng.choice(
            (
                Record(("203.0.113.7",), 60, "heritage=other"),
                Record(("203.0.113.7",), 60, None),
                Record(("2001:db8:ffff::7",), ipv6_ttl=60),
                Record(owner=before.owner, obstacle="a CNAME"),
                replace(before, owner=None),
            )
        )
    )
    world.at(world.rng.uniform(10, 40), lambda: world.give_record_back(before))


def lose_zone(world: World) -> None:
    """The zone is gone, and comes back."""
    world.zone.gone = True
    world.at(world.rng.uniform(10, 40), lambda: setattr(world.zone, "gone", False))


def outage(world: World) -> None:
    """A service answers nobody for a while."""
    service = world.rng.choice((act.SWARM, act.SCALING, act.DNS, act.STORE, SQS))
    world.trace(service, "outage")
    world.outages[service] = world.now + world.rng.uniform(5, 60)


def roll_back_record(world: World) -> None:
    """Somebody puts an earlier version of the cluster's record back, or the claim that it began with."""
    first = ClusterRecord(CLAIMED, "i-elsewhere", "", 1)
    world.bucket.restore(CLUSTER_RECORD, world.rng.choice((first, *world.bucket.history[CLUSTER_RECORD])))


def spoil_record(world: World) -> None:
    """Somebody edits the cluster's record by hand, and it cannot be read any more."""
    world.bucket.restore(CLUSTER_RECORD, "{")


def empty_bucket(world: World) -> None:
    world.bucket.objects.clear()


def demote_by_hand(world: World) -> None:
    """Somebody runs `docker node demote` for a manager that does its work."""
    machine = some(world, "manager")
    member = _member(world, machine)
    if member and world.swarm.works and member is not world.swarm.leader and len(world.swarm.voters) > 2:
        world.swarm.demote_by_hand(member)


def delete_by_hand(world: World) -> None:
    """Somebody runs `docker node rm --force` for a worker, whose agent notices that after a while."""
    machine = some(world, "worker")
    member = _member(world, machine)
    if machine and member and world.swarm.works:
        world.delete_by_hand(machine, member)


def junk(world: World) -> None:
    """Messages that nobody can read, or of others."""
    for body in world.rng.sample(JUNK + FOREIGN, 3):
        world.queue.publish(body)


def second_agent(world: World) -> None:
    """For a while, one that does not lead acts too."""
    others = [agent for agent in world.agents.values() if agent.process is not None]
    if others:
        agent = world.rng.choice(others)
        agent.acts_anyway = True
        world.at(world.rng.uniform(5, 40), lambda: setattr(agent, "acts_anyway", False))


def kill_agent(world: World) -> None:
    """An agent's process is killed and started anew."""
    running = [agent for agent in world.agents.values() if agent.process is not None]
    if running:
        agent = world.rng.choice(running)
        agent.trace("agent is killed")
        agent.stop()
        agent.start(world.rng.uniform(1, 20))


def hang(world: World) -> None:
    """The leader's engine answers nothing for a while, though Raft goes on. For a lone manager nobody acts."""
    leader = world.swarm.leader
    if leader and leader.machine.id in world.agents and len(world.swarm.voters) > 1:
        world.agents[leader.machine.id].hangs_until = world.now + world.rng.uniform(40, 300)


def clock_off(world: World) -> None:
    """A manager's clock jumps, the leader's as likely as all others' together, and is set right again or not."""
    leader = world.swarm.leader
    agents = [agent for agent in world.agents.values() if agent.process is not None]
    own = world.agents.get(leader.machine.id) if leader else None
    agent = own if own and world.rng.random() < 0.5 else world.rng.choice(agents) if agents else None
    if agent:
        # For a lone manager that AWS refuses nobody acts.
        refused = (600.0, 2000.0) if len(world.swarm.voters) > 1 else ()
        agent.skew = world.rng.choice((-1, 1)) * world.rng.choice((20.0, 200.0, *refused))
        agent.trace(f"its clock is {agent.skew:+.0f} s off")
        if world.rng.random() < 0.7 or abs(agent.skew) > MOST_SKEW:
            world.at(world.rng.uniform(5, 200), lambda: setattr(agent, "skew", 0.0))


def hide_address(world: World) -> None:
    """Instances that are launched from now on have no public address, for a while."""
    world.cloud.public = False
    world.at(30.0, lambda: setattr(world.cloud, "public", True))


def never_joins(world: World) -> None:
    """The next instance never gets into the swarm."""
    world.cloud.next_joins = False


def deploy(world: World) -> None:
    """A service's owner changes its count."""
    world.work.deploy(world.work.services["web"], world.rng.randint(1, 4))


def balancer_outage(world: World) -> None:
    """Elastic Load Balancing answers nobody for a while; the load balancer goes on."""
    world.trace(act.BALANCING, "outage")
    world.outages[act.BALANCING] = world.now + world.rng.uniform(5, 60)


def register_target(world: World) -> None:
    """Somebody registers a manager by hand, whatever becomes of it."""
    there = world.balancing.registered()
    found = [
        machine
        for machine in world.cloud.machines.values()
        if machine.state == "running" and machine.group.role == "manager"
    ]
    absent = [node.id for node in found if node.id not in there]
    if absent:
        world.work.excuse()
        world.balancing.register([world.rng.choice(absent)])


def deregister_target(world: World) -> None:
    """Somebody deregisters one of the cluster's targets by hand."""
    there = sorted(world.balancing.registered() - world.balancing.strangers())
    if there:
        world.work.excuse()
        world.balancing.deregister([world.rng.choice(there)])


Fault = Callable[[World], None]
ALL: tuple[Fault, ...] = (
    kill,
    kill,
    kill_leader,
    retire,
    retire,
    scale_workers,
    scale_managers,
    request_removal,
    request_removal,
    force_removal,
    spot,
    reboot,
    isolate,
    isolate,
    rejoin,
    split,
    rotate,
    detach,
    delete_group,
    complete_hook,
    complete_hook,
    change_record,
    take_record,
    lose_zone,
    outage,
    outage,
    roll_back_record,
    spoil_record,
    empty_bucket,
    demote_by_hand,
    delete_by_hand,
    junk,
    second_agent,
    second_agent,
    kill_agent,
    hang,
    clock_off,
    hide_address,
    never_joins,
    deploy,
)
# What else there is where a load balancer is in front of the managers.
BALANCED: tuple[Fault, ...] = (*ALL, balancer_outage, balancer_outage, register_target, deregister_target)
