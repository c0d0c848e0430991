#!/bin/sh
# Builds IMAGE from SOURCE: a repository at a commit or a tag, or an archive. Pushes it, updates SERVICE to its digest, and then
# tags it with `latest` and with a hash of SOURCE. So this may run twice, and in parallel: a source with a tag is complete, and an
# interrupted build is repeated.
set -eu
# A single stream, so that the last line of the log is the reason of a failure.
exec 2>&1

say() { echo "build: $*"; }
fail() { say "$*"; exit 1; }

[ -n "$SOURCE" ] || { say "nothing to build: deploy with CI_SOURCE and CI_IMAGE"; exit 0; }
[ -n "$IMAGE" ] || fail "CI_IMAGE is missing: the image's name, such as shop"
[ -z "$SERVICE" ] || docker service inspect "$SERVICE" >/dev/null 2>&1 ||
  fail "there is no service $SERVICE: build without CI_SERVICE and deploy its stack first"

# A deployment may start the registry and this job at the same time.
tries=0
until wget -q -O /dev/null http://127.0.0.1:5000/v2/; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || fail "the registry on this node does not answer; docker service ps says why"
  sleep 1
done

repository=127.0.0.1:5000/$IMAGE
done=$repository:source-$(printf %s "$SOURCE" | sha256sum | cut -c 1-12)
if docker manifest inspect --insecure "$done" >/dev/null 2>&1; then
  say "$IMAGE has been built from $SOURCE before"
  exit 0
fi

# SOURCE is ADDRESS#REVISION:FOLDER, as in Docker. It is fetched here because an engine would need git on its node, and nodes
# have no git.
fetched() {
  address=${SOURCE%%#*} part=
  case $SOURCE in *'#'*) part=${SOURCE#*#} ;; esac
  revision=${part%%:*} folder=
  case $part in *:*) folder=${part#*:} ;; esac
  git init --quiet "$TREE"
  git -C "$TREE" remote add origin "$address"
  if git -C "$TREE" fetch --quiet --depth 1 origin "${revision:-HEAD}" 2>/dev/null; then
    git -C "$TREE" checkout --quiet FETCH_HEAD
  else
    # Not every server supports fetching a commit by its name, or a shallow fetch.
    rm -rf "$TREE"
    git clone --quiet --no-checkout "$address" "$TREE" || fail "there is no repository at $address"
    git -C "$TREE" checkout --quiet "${revision:-HEAD}" -- || fail "$address has no ${revision:-commit}"
  fi
  git -C "$TREE" submodule --quiet update --init --recursive
  find "$TREE" -name .git -prune -exec rm -rf {} +
  context=$TREE/$folder
  [ -d "$context" ] || fail "$address has no folder $folder at ${revision:-its HEAD}"
}

case ${SOURCE%%#*} in
  *.git | git://*) fetched ;;
  *) context=$SOURCE ;;
esac

docker build --pull --tag "$repository:built" "$context"
docker push --quiet "$repository:built" ||
  fail "the registry on this node took no image; it may write into the bucket with registry: true in the configuration"
image=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$repository:built" | grep "^$repository@" | tail -n 1)
[ -n "$image" ] || fail "the registry gave $IMAGE no digest"
say "pushed $image"

if [ -n "$SERVICE" ]; then
  # A rollback or a pause is a failure too.
  docker service update --quiet --detach=false --image "$image" "$SERVICE" ||
    fail "$SERVICE did not take $image; docker service ps $SERVICE says why"
  state=$(docker service inspect --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}' "$SERVICE")
  case $state in '' | completed) ;; *) fail "the update of $SERVICE to $image ended as $state" ;; esac
  say "$SERVICE runs it"
fi

for tag in "$repository:latest" "$done"; do
  docker tag "$repository:built" "$tag"
  docker push --quiet "$tag"
done
