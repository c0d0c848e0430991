"""Faults: each is a function of the simulated cluster, and does nothing where it makes no sense."""

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
from .simulated_cluster import SimCluster
from .swarm import Member

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


def expendable(world: SimCluster, machine: Machine) -> bool:
    """Whether the swarm keeps its quorum without the instance. Otherwise only a restore helps."""
    voters = world.swarm.voters
    rest = [voter for voter in voters if voter.machine.alive and not voter.left and voter.machine is not machine]
    if machine.group.role == "worker" or not any(voter.machine is machine for voter in voters):
        return True
    # A manager that joins or is demoted meanwhile must not decide this.
    return len(rest) > len(voters) // 2


def random_instance(world: SimCluster, role: str | None = None) -> Machine | None:
    """A random running instance without which the swarm keeps its quorum."""
    found = [
        machine
        for machine in world.cloud.machines.values()
        if machine.state == "running" and role in (None, machine.group.role) and expendable(world, machine)
    ]
    return world.rng.choice(found) if found else None


def _member(world: SimCluster, machine: Machine | None) -> Member | None:
    return world.swarm.member_of(machine) if machine else None


def kill(world: SimCluster) -> None:
    """An instance is terminated without warning."""
    machine = random_instance(world)
    if machine:
        world.kill(machine)


def kill_leader(world: SimCluster) -> None:
    leader = world.swarm.leader
    if leader and expendable(world, leader.machine):
        world.kill(leader.machine)


def terminate(world: SimCluster) -> None:
    """Auto Scaling terminates an instance and launches another."""
    machine = random_instance(world)
    if machine:
        world.cloud.begin_termination(machine)


def scale_workers(world: SimCluster) -> None:
    group = world.cloud.groups["worker"]
    world.cloud.scale(group, world.rng.randint(0, 3))


def scale_managers(world: SimCluster) -> None:
    """To an odd number, if all managers are up: nobody scales a swarm that has lost a manager."""
    group = world.cloud.groups["manager"]
    others = {1, 3, 5} - {group.desired}
    whole = all(voter.machine.engine_up and not voter.left for voter in world.swarm.voters)
    if whole and len(world.swarm.voters) == len(world.cloud.members(group)) == group.desired:
        world.cloud.scale(group, world.rng.choice(sorted(others)))


def random_removal(world: SimCluster) -> None:
    """The operator requests a removal."""
    request_removal(world, random_instance(world))


def force_removal(world: SimCluster) -> None:
    request_removal(world, random_instance(world), replace=world.rng.random() < 0.5, force=True)


def request_removal(world: SimCluster, machine: Machine | None, *, replace: bool = True, force: bool = False) -> None:
    """Request the removal of an instance, as the command does."""
    member = _member(world, machine)
    if member is None or not world.swarm.works or machine is None:
        return
    if not replace and machine.group.role == "manager":
        replace = True
    world.trace("operator", f"requests the removal of {machine.id}")
    request = interruptions.write_request(EPOCH + world.now, replace=replace, force=force)
    member.labels = {**member.labels, node_labels.REQUESTED: request}
    member.version += 1
    world.queue.publish(json.dumps({"detail-type": "Removal Requested", "detail": {"EC2InstanceId": machine.id}}))
    world.changed()


def spot(world: SimCluster) -> None:
    """EC2 interrupts a spot instance, with a warning."""
    machine = random_instance(world)
    if machine:
        interrupt(world, machine, world.rng.choice((40.0, 120.0)))


def interrupt(world: SimCluster, machine: Machine, seconds: float) -> None:
    """A spot interruption, with the warning only ``seconds`` before the termination."""
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


def reboot(world: SimCluster) -> None:
    machine = random_instance(world)
    if machine:
        world.reboot(machine, world.rng.uniform(3, 40))


def isolate(world: SimCluster) -> None:
    """A network partition, which heals after a while."""
    machine = random_instance(world)
    if machine is None or world.swarm.isolated:
        return
    world.partition(frozenset({machine}))
    world.at(world.rng.uniform(5, 60), lambda: world.partition(frozenset()))


def rejoin(world: SimCluster) -> None:
    machine = random_instance(world)
    if machine:
        world.rejoin(machine)


def split(world: SimCluster) -> None:
    """Somebody initialises another swarm on a manager, and terminates the instance later."""
    machine = random_instance(world, "manager")
    if machine:
        world.split(machine)
        world.at(world.rng.uniform(10, 40), lambda: world.kill(machine))


def rotate(world: SimCluster) -> None:
    world.rotate()


def detach(world: SimCluster) -> None:
    """Somebody detaches a worker from its Auto Scaling group."""
    machine = random_instance(world, "worker")
    if machine and machine.lifecycle == "InService":
        world.cloud.detach(machine)


def delete_group(world: SimCluster) -> None:
    """Somebody deletes the workers' Auto Scaling group by force."""
    world.cloud.delete(world.cloud.groups["worker"])


def complete_hook(world: SimCluster) -> None:
    """Somebody completes a lifecycle action that the agent holds."""
    waiting = [
        machine
        for machine in world.cloud.machines.values()
        if machine.waits and machine.terminating and expendable(world, machine)
    ]
    if waiting:
        machine = world.rng.choice(waiting)
        world.work.excuse()
        world.cloud.complete(machine.scaling_group or "", "sim-terminating", machine.id, "CONTINUE")


def change_record(world: SimCluster) -> None:
    """Somebody changes the record by hand."""
    zone = world.zone
    if not zone.record.absent and not world.record_is_foreign:
        keep = zone.record.addresses[:1]
        stray = world.own_record("203.0.113.7", *(["2001:db8:ffff::7"] if world.weather.ipv6 else []))
        zone.put_by_hand(world.rng.choice((stray, world.own_record(*keep), Record())))


def take_record(world: SimCluster) -> None:
    """The name has a foreign record for a while."""
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
    world.at(world.rng.uniform(10, 40), lambda: world.restore_record(before))


def lose_zone(world: SimCluster) -> None:
    """The zone is missing for a while."""
    world.zone.gone = True
    world.at(world.rng.uniform(10, 40), lambda: setattr(world.zone, "gone", False))


def outage(world: SimCluster) -> None:
    """A service answers no call for a while."""
    service = world.rng.choice((act.SWARM, act.SCALING, act.DNS, act.STORE, SQS))
    world.trace(service, "outage")
    world.outages[service] = world.now + world.rng.uniform(5, 60)


def roll_back_record(world: SimCluster) -> None:
    """Somebody restores an earlier version of the cluster record, or the claim before its first version."""
    first = ClusterRecord(CLAIMED, "i-elsewhere", "", 1)
    world.bucket.restore(CLUSTER_RECORD, world.rng.choice((first, *world.bucket.history[CLUSTER_RECORD])))


def spoil_record(world: SimCluster) -> None:
    """Somebody makes the cluster record invalid."""
    world.bucket.restore(CLUSTER_RECORD, "{")


def empty_bucket(world: SimCluster) -> None:
    world.bucket.objects.clear()


def demote_by_hand(world: SimCluster) -> None:
    """Somebody runs `docker node demote` for a healthy manager."""
    machine = random_instance(world, "manager")
    member = _member(world, machine)
    if member and world.swarm.works and member is not world.swarm.leader and len(world.swarm.voters) > 2:
        world.swarm.demote_by_hand(member)


def delete_by_hand(world: SimCluster) -> None:
    """Somebody runs `docker node rm --force` for a worker, whose agent notices later."""
    machine = random_instance(world, "worker")
    member = _member(world, machine)
    if machine and member and world.swarm.works:
        world.delete_by_hand(machine, member)


def junk(world: SimCluster) -> None:
    """Invalid and foreign messages."""
    for body in world.rng.sample(JUNK + FOREIGN, 3):
        world.queue.publish(body)


def second_agent(world: SimCluster) -> None:
    """Another agent acts besides the leader's for a while."""
    others = [agent for agent in world.agents.values() if agent.process is not None]
    if others:
        agent = world.rng.choice(others)
        agent.acts_anyway = True
        world.at(world.rng.uniform(5, 40), lambda: setattr(agent, "acts_anyway", False))


def kill_agent(world: SimCluster) -> None:
    """An agent's process is killed and restarted."""
    running = [agent for agent in world.agents.values() if agent.process is not None]
    if running:
        agent = world.rng.choice(running)
        agent.trace("agent is killed")
        agent.stop()
        agent.start(world.rng.uniform(1, 20))


def hang(world: SimCluster) -> None:
    """The leader's engine does not answer for a while, though Raft goes on. A lone manager has no deputy."""
    leader = world.swarm.leader
    if leader and leader.machine.id in world.agents and len(world.swarm.voters) > 1:
        world.agents[leader.machine.id].hangs_until = world.now + world.rng.uniform(40, 300)


def clock_off(world: SimCluster) -> None:
    """A manager's clock jumps, the leader's in half of all cases, and may be corrected."""
    leader = world.swarm.leader
    agents = [agent for agent in world.agents.values() if agent.process is not None]
    own = world.agents.get(leader.machine.id) if leader else None
    agent = own if own and world.rng.random() < 0.5 else world.rng.choice(agents) if agents else None
    if agent:
        # A lone manager has no deputy when AWS refuses its signatures.
        refused = (600.0, 2000.0) if len(world.swarm.voters) > 1 else ()
        agent.skew = world.rng.choice((-1, 1)) * world.rng.choice((20.0, 200.0, *refused))
        agent.trace(f"its clock is {agent.skew:+.0f} s off")
        if world.rng.random() < 0.7 or abs(agent.skew) > MOST_SKEW:
            world.at(world.rng.uniform(5, 200), lambda: setattr(agent, "skew", 0.0))


def hide_address(world: SimCluster) -> None:
    """New instances get no public address for a while."""
    world.cloud.public = False
    world.at(30.0, lambda: setattr(world.cloud, "public", True))


def never_joins(world: SimCluster) -> None:
    """The next instance never joins the swarm."""
    world.cloud.next_joins = False


def deploy(world: SimCluster) -> None:
    """The owner of a service scales it."""
    world.work.deploy(world.work.services["web"], world.rng.randint(1, 4))


def balancer_outage(world: SimCluster) -> None:
    """The API of Elastic Load Balancing answers no call for a while; the load balancer goes on."""
    world.trace(act.BALANCING, "outage")
    world.outages[act.BALANCING] = world.now + world.rng.uniform(5, 60)


def register_target(world: SimCluster) -> None:
    """Somebody registers a manager by hand."""
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


def deregister_target(world: SimCluster) -> None:
    """Somebody deregisters a target of the cluster by hand."""
    there = sorted(world.balancing.registered() - world.balancing.strangers())
    if there:
        world.work.excuse()
        world.balancing.deregister([world.rng.choice(there)])


Fault = Callable[[SimCluster], None]
ALL: tuple[Fault, ...] = (
    kill,
    kill,
    kill_leader,
    terminate,
    terminate,
    scale_workers,
    scale_managers,
    random_removal,
    random_removal,
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
# With a load balancer in front of the managers.
BALANCED: tuple[Fault, ...] = (*ALL, balancer_outage, balancer_outage, register_target, deregister_target)
