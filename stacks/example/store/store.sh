#!/bin/sh
# Runs a member of the store: `server` is Valkey, `sentinel` watches over it. Tasks get a new address whenever they start,
# so nothing is remembered by address: a member asks who the primary is when it starts, and again while it has none.
#
#   - A server never starts as primary. It follows the living primary that the sentinels or the other servers name, and
#     waits as a replica of nothing when there is none.
#   - A sentinel serves only once there is a living primary to watch. If no sentinel finds a primary, because the stack is
#     new or everything stopped at once, the first sentinel promotes the server with the most recent data among a majority
#     of them. Writes acknowledged by a replica (WAIT 1) are in any majority, so no such write is lost.
#   - A sentinel whose primary has been away for long, without a successor, ends and starts afresh.
#   - A primary that is told to stop first hands its role over, with writes paused meanwhile.
set -u

PASSWORD=$(cat "$PASSWORD_FILE") || exit 1
export REDISCLI_AUTH="$PASSWORD"
QUORUM=$((MEMBERS / 2 + 1))
NAME=primary
# A counter that the primary increments every second, and by a million when it is promoted: it shows whose data is the latest.
PULSE=__pulse
# The host that a server without a known primary follows: nothing listens on its port 1.
NOBODY=127.0.0.1

say() { echo "store: $*"; }
addresses() { getent ahostsv4 "$1" | awk '$2 == "STREAM" {print $1}' | sort -u; }
own_address() { getent ahostsv4 "$(cat /etc/hostname)" | awk 'NR == 1 {print $1}'; }
server() { host=$1; shift; timeout 1 valkey-cli -h "$host" -p 6379 "$@" 2>/dev/null; }
sentinel() { host=$1; shift; timeout 1 valkey-cli -h "$host" -p 26379 "$@" 2>/dev/null; }
is_primary() { [ "$(server "$1" ROLE | head -n 1)" = master ]; }
replication() { server 127.0.0.1 INFO replication | tr -d '\r' | awk -F: -v field="$1" '$1 == field {print $2}'; }

# The primary that at least $1 sentinels agree on, if it lives.
named_by_sentinels() {
  for peer in $(addresses "$SENTINELS"); do
    sentinel "$peer" SENTINEL GET-MASTER-ADDR-BY-NAME "$NAME" | head -n 1
  done | grep -E '^[0-9.]+$' | sort | uniq -c | sort -rn | {
    read -r votes address && [ "$votes" -ge "$1" ] && is_primary "$address" && echo "$address"
  }
}

# The primary among the servers, if there is exactly one.
shown_by_servers() {
  found=$(for peer in $(addresses "$STORES"); do is_primary "$peer" && echo "$peer"; done)
  [ "$(echo "$found" | grep -c .)" = 1 ] && echo "$found"
}

living_primary() { named_by_sentinels 1 || shown_by_servers; }

# ---------------------------------------------------------------------------------------------------------------- server
run_server() {
  umask 077
  primary=$(living_primary)
  cat > /tmp/valkey.conf <<CONFIG
port 6379
dir /data
requirepass $PASSWORD
masterauth $PASSWORD
replica-announce-ip $(own_address)
replicaof ${primary:-$NOBODY} $([ -n "$primary" ] && echo 6379 || echo 1)
appendonly yes
save ""
maxmemory 128mb
min-replicas-to-write 1
min-replicas-max-lag 5
repl-diskless-sync-delay 0
CONFIG
  valkey-server /tmp/valkey.conf &
  child=$!
  trap 'hand_over; kill -TERM $child' TERM INT
  was="" second=0
  while kill -0 "$child" 2>/dev/null; do
    tend_server
    second=$((second + 1))
    nap 1
  done
  wait "$child"
}

# What a server does every second.
tend_server() {
  # A single answer for both: a replica promoted between two answers would have no link, and would follow the old primary.
  set -- $(server 127.0.0.1 INFO replication | tr -d '\r' | awk -F: '
    $1 == "role" {role = $2} $1 == "master_link_status" {link = $2} END {print role, link}')
  role=${1:-} link=${2:-}
  case $role in
    master)
      if [ "$was" = slave ]; then server 127.0.0.1 INCRBY "$PULSE" 1000000; else server 127.0.0.1 INCR "$PULSE"; fi >/dev/null
      touch /tmp/ready
      # Not every second: it takes about thirty processes. A write meanwhile has a replica or is refused.
      other=""
      if [ $((second % 5)) = 0 ]; then other=$(named_by_sentinels "$QUORUM"); fi
      if [ -n "$other" ] && [ "$other" != "$(own_address)" ]; then
        say "the sentinels agree on $other as the primary: following it"
        server 127.0.0.1 REPLICAOF "$other" 6379 >/dev/null
      fi ;;
    slave)
      if [ "$link" = up ]; then
        touch /tmp/ready
      elif primary=$(living_primary) && [ -n "$primary" ]; then
        # Asking took a while, in which it may have been promoted.
        if [ "$primary" != "$(own_address)" ] && [ "$primary" != "$(replication master_host)" ] &&
          [ "$(replication role)" = slave ]; then
          say "following $primary"
          server 127.0.0.1 REPLICAOF "$primary" 6379 >/dev/null
        fi
      else
        touch /tmp/ready
      fi ;;
  esac
  [ -n "$role" ] && was=$role
}

# A stopping primary: pause writes, have a sentinel promote a replica, and wait for the promotion. A sentinel on the same node
# may stop at the same moment, so do not wait for a sentinel that ends.
hand_over() {
  trap '' TERM INT
  [ "$(replication role)" = master ] && [ "$(replication connected_slaves)" -gt 0 ] || return 0
  say "handing the primary's role over"
  server 127.0.0.1 CLIENT PAUSE 20000 WRITE >/dev/null
  own=$(own_address)
  deadline=$(($(date +%s) + 15))
  for peer in $(addresses "$SENTINELS"); do
    [ "$(sentinel "$peer" SENTINEL FAILOVER "$NAME")" = OK ] || continue
    while [ "$(date +%s)" -lt "$deadline" ] && [ "$(sentinel "$peer" PING)" = PONG ]; do
      for other in $(addresses "$STORES"); do
        if [ "$other" != "$own" ] && is_primary "$other"; then
          say "$other has taken the primary's role over"
          return 0
        fi
      done
      nap 0.25
    done
  done
  say "no sentinel took the role over; the others will notice"
}

# Wait, but answer signals at once.
nap() { sleep "$1" & wait $!; }

# -------------------------------------------------------------------------------------------------------------- sentinel
run_sentinel() {
  trap 'exit 0' TERM INT
  find_primary
  umask 077
  {
    cat <<CONFIG
port 26379
dir /data
requirepass $PASSWORD
sentinel sentinel-pass $PASSWORD
sentinel myid $(echo "sentinel $SLOT" | sha1sum | cut -c 1-40)
sentinel announce-ip $(own_address)
sentinel monitor $NAME $primary 6379 $QUORUM
sentinel auth-pass $NAME $PASSWORD
sentinel down-after-milliseconds $NAME 3000
sentinel failover-timeout $NAME 6000
sentinel parallel-syncs $NAME 2
CONFIG
    # With the replicas it finds the other sentinels even if the primary is down.
    for peer in $(addresses "$STORES"); do
      [ "$peer" = "$primary" ] || echo "sentinel known-replica $NAME $peer 6379"
    done
  } > /tmp/sentinel.conf
  say "watching over $primary"
  valkey-sentinel /tmp/sentinel.conf &
  child=$!
  trap 'kill -TERM $child' TERM INT
  missing=0
  while kill -0 "$child" 2>/dev/null; do
    nap 2
    watched=$(sentinel 127.0.0.1 SENTINEL GET-MASTER-ADDR-BY-NAME "$NAME" | head -n 1)
    if [ -n "$watched" ] && is_primary "$watched"; then missing=0; else missing=$((missing + 1)); fi
    if [ "$missing" -ge 15 ]; then
      say "$watched is no living primary and has no successor: starting afresh"
      kill -TERM "$child"
    fi
  done
  wait "$child"
}

# Set $primary to the living primary's address, promoting a server when there is none.
find_primary() {
  # Each sentinel waits longer than the previous sentinel, so that a single sentinel decides.
  patience=$((20 * (SLOT - 1)))
  waited=0
  until primary=$(living_primary) && [ -n "$primary" ]; do
    seen=0 latest=-1 best=""
    for peer in $(addresses "$STORES"); do
      [ "$(server "$peer" ROLE | head -n 1)" = slave ] || continue
      seen=$((seen + 1))
      pulse=$(server "$peer" GET "$PULSE" | tr -dc 0-9)
      if [ "${pulse:-0}" -gt "$latest" ]; then latest=${pulse:-0} best=$peer; fi
    done
    serving=0
    for peer in $(addresses "$SENTINELS"); do
      [ "$(sentinel "$peer" PING)" = PONG ] && serving=$((serving + 1))
    done
    # Sentinels that serve may be about to fail over; servers that are missing may have later data.
    needed=$patience
    [ "$seen" -lt "$MEMBERS" ] && needed=$((patience + 30))
    if [ "$seen" -ge "$QUORUM" ] && [ "$serving" = 0 ]; then waited=$((waited + 1)); else waited=0; fi
    if [ "$waited" -gt "$needed" ]; then
      say "no primary lives: promoting $best, whose data is the most recent of $seen servers"
      server "$best" REPLICAOF NO ONE >/dev/null
      waited=0
    fi
    nap 1
  done
}

case ${1:-} in
  server) run_server ;;
  sentinel) run_sentinel ;;
  server-healthy) [ -e /tmp/ready ] && [ "$(server 127.0.0.1 PING)" = PONG ] ;;
  sentinel-healthy) [ "$(sentinel 127.0.0.1 PING)" = PONG ] ;;
  *) echo "usage: store.sh server|sentinel|server-healthy|sentinel-healthy" >&2; exit 2 ;;
esac
