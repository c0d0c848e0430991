#!/bin/sh
# Builds IMAGE from SOURCE, which Docker fetches: a repository at a commit or a tag, or an archive. Pushes it, has SERVICE run it by
# its digest, and only then gives it the tag `latest` and one made of its source. So it may run twice, and beside itself: what
# has that tag is done, and what was killed before is done anew.
set -eu

say() { echo "build: $*"; }
fail() { say "$*"; exit 1; }

[ -n "$SOURCE" ] || { say "nothing is to be built: deploy with CI_SOURCE and CI_IMAGE"; exit 0; }
[ -n "$IMAGE" ] || fail "CI_IMAGE is missing: the image's name, such as shop"

# A deployment may start the registry and this job at once.
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

docker build --pull --tag "$repository:built" "$SOURCE"
docker push --quiet "$repository:built"
image=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$repository:built" | grep "^$repository@" | tail -n 1)
[ -n "$image" ] || fail "the registry gave $IMAGE no digest"
say "pushed $image"

if [ -n "$SERVICE" ]; then
  # Rolled back or paused is a failure, too.
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
