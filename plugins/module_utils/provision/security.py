"""Security groups that refer to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from . import tags
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, not_found, once_visible


@dataclass(frozen=True, order=True)
class Rule:
    """Who may reach which port: ``source`` is a CIDR block, a security group's ID, or the name of one to come."""

    protocol: str
    port: int
    source: str
    description: str

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port} from {self.source} ({self.description})"

    @property
    def opening(self) -> tuple[str, int, str]:
        """What makes it the same rule for AWS; the description does not."""
        return (self.protocol, self.port, self.source)

    def permission(self) -> dict[str, Any]:
        """As EC2 wants it."""
        permission: dict[str, Any] = {"IpProtocol": self.protocol, "FromPort": self.port, "ToPort": self.port}
        if "/" in self.source:
            key, name = ("Ipv6Ranges", "CidrIpv6") if ":" in self.source else ("IpRanges", "CidrIp")
            permission[key] = [{name: self.source, "Description": self.description}]
        else:
            permission["UserIdGroupPairs"] = [{"GroupId": self.source, "Description": self.description}]
        return permission


@dataclass(frozen=True)
class Foreign:
    """A rule that nobody declared, in EC2's words."""

    permission: Mapping[str, Any]

    def __str__(self) -> str:
        ports = f"{self.permission.get('FromPort', 'all')}-{self.permission.get('ToPort', 'all')}"
        sources = [
            source
            for ranges, key in (
                ("IpRanges", "CidrIp"),
                ("Ipv6Ranges", "CidrIpv6"),
                ("UserIdGroupPairs", "GroupId"),
                ("PrefixListIds", "PrefixListId"),
            )
            for source in (one.get(key, "") for one in self.permission.get(ranges, []))
        ]
        return f"{self.permission['IpProtocol']}/{ports} from {', '.join(sources)}"


def read(permissions: Iterable[Mapping[str, Any]]) -> tuple[list[Rule], list[Foreign]]:
    """A group's rules, and those that are of a kind that is never declared here (port ranges, prefix lists)."""
    rules: list[Rule] = []
    foreign: list[Foreign] = []
    for one in permissions:
        plain = one.get("FromPort") is not None and one.get("FromPort") == one.get("ToPort")
        if not plain or one.get("PrefixListIds"):
            foreign.append(Foreign({key: value for key, value in one.items() if value not in ([], None)}))
            continue
        for ranges, key in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("UserIdGroupPairs", "GroupId")):
            for source in one.get(ranges, []):
                rules.append(Rule(one["IpProtocol"], one["FromPort"], source[key], source.get("Description", "")))
    return rules, foreign


class Firewall:
    """Brings security groups to what they should be. Rules that are not declared are removed."""

    def __init__(self, aws: Aws, cluster: str, vpc: str | None, own_tags: Mapping[str, str], changes: Changes) -> None:
        self._ec2, self._cluster, self._vpc, self._tags, self._changes = aws.ec2, cluster, vpc, own_tags, changes

    def build(self, groups: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
        """The IDs of the groups, by name; None for those to come, in check mode.

        ``groups`` are ``{name, description, rules: [{protocol, port, cidr or group, description}]}``.
        """
        found = self._find([group["name"] for group in groups])
        ids: dict[str, str | None] = {}
        for group in groups:
            ids[group["name"]] = self._keep_group(group, found.get(group["name"]))
        for group in groups:
            present = found.get(group["name"], {}).get("IpPermissions", [])
            self._keep_rules(group["name"], ids, self._rules(group, ids), present)
        return ids

    def _find(self, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        if not self._vpc:
            return {}
        filters = [{"Name": "vpc-id", "Values": [self._vpc]}, {"Name": "group-name", "Values": list(names)}]
        found = self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        return {group["GroupName"]: group for group in found}

    def _keep_group(self, group: Mapping[str, Any], present: Mapping[str, Any] | None) -> str | None:
        name = group["name"]
        wanted = tags.of_cluster(self._cluster, self._tags, Name=name)
        if present is None:
            return self._changes.apply(
                f"security group {name}",
                None,
                {"description": group["description"], "tags": wanted},
                lambda: self._ec2.create_security_group(
                    GroupName=name,
                    Description=group["description"],
                    VpcId=self._vpc,
                    TagSpecifications=tags.specification("security-group", wanted),
                )["GroupId"],
            )
        before = tags.from_list(present.get("Tags", []))
        if before.get(tags.CLUSTER, self._cluster) != self._cluster:
            raise ProvisionError(
                f"The security group {name} ({present['GroupId']}) belongs to the cluster '{before[tags.CLUSTER]}': "
                "rename one of the two clusters."
            )
        self._changes.add_tags(
            f"security group {name}",
            before,
            wanted,
            lambda missing: self._ec2.create_tags(Resources=[present["GroupId"]], Tags=tags.to_list(missing)),
        )
        return present["GroupId"]

    @staticmethod
    def _rules(group: Mapping[str, Any], ids: Mapping[str, str | None]) -> list[Rule]:
        return sorted(
            Rule(
                rule["protocol"],
                rule["port"],
                rule["cidr"] or ids[rule["group"]] or rule["group"],
                rule["description"],
            )
            for rule in group["rules"]
        )

    def _keep_rules(
        self, name: str, ids: Mapping[str, str | None], wanted: list[Rule], permissions: Iterable[Mapping[str, Any]]
    ) -> None:
        present, foreign = read(permissions)
        openings = {rule.opening for rule in wanted}
        # A rule whose description only changed is taken away and given again: EC2 knows no other way for both at once.
        gone = [rule for rule in present if rule not in wanted]
        new = [rule for rule in wanted if rule not in present]
        if not (gone or new or foreign):
            return
        names = {identifier: group for group, identifier in ids.items() if identifier}
        before = sorted([*(_readable(rule, names) for rule in present), *(str(one) for one in foreign)])
        after = sorted(_readable(rule, names) for rule in wanted)

        def effect() -> None:
            renamed = [rule.permission() for rule in gone if rule.opening in openings]
            removed = [rule.permission() for rule in gone if rule.opening not in openings]
            if renamed:
                self._revoke(ids[name], renamed)
            if new:
                once_visible(
                    lambda: self._ec2.authorize_security_group_ingress(
                        GroupId=ids[name], IpPermissions=[rule.permission() for rule in new]
                    ),
                    not_found,
                )
            if removed or foreign:
                self._revoke(ids[name], [*removed, *(dict(one.permission) for one in foreign)])

        self._changes.apply(
            f"rules of the security group {name}", {"rules": before} if before else None, {"rules": after}, effect
        )

    def _revoke(self, group: str | None, permissions: Sequence[Mapping[str, Any]]) -> None:
        self._ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=list(permissions))


def _readable(rule: Rule, names: Mapping[str, str]) -> str:
    return str(Rule(rule.protocol, rule.port, names.get(rule.source, rule.source), rule.description))
