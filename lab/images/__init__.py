"""The lab's images: the outer engine keeps the base and the instance image, the registry serves the stack's images.

Each image is built again only when the digest of its recipe changes.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker
import yaml
from docker.errors import APIError, BuildError, ImageNotFound

from lab import registry
from lab.errors import LabError
from lab.packages import install
from lab.state import HOME, labs

RECIPES = Path(__file__).parent
BASE = "swarm-lab/base"
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
Say = Callable[[str], None]


def ensure(engine: docker.DockerClient, say: Say) -> None:
    """Build and publish the missing images, except those on request."""
    if not _has(engine, node_image()):
        _ensure_base(engine, say)
        _build(engine, RECIPES / "node", node_image(), say)
    _publish(engine, _unpublished(on_request=False), say)


def ensure_all(engine: docker.DockerClient, say: Say) -> None:
    """Publish the missing images, including those on request."""
    _publish(engine, _unpublished(on_request=True), say)


def ensure_kernel(engine: docker.DockerClient, say: Say) -> None:
    """Build what instances with a kernel of their own need: User Mode Linux, and the root file system that they share.

    Raises LabError if Debian's package cannot be installed.
    """
    if platform.machine() != "x86_64":
        raise LabError(
            f"Instances with a kernel of their own need Debian's package user-mode-linux, which does not exist for "
            f"{platform.machine()}: use `--kernel container`."
        )
    if not _has(engine, kernel_image()):
        try:
            _build(engine, RECIPES / "kernel", kernel_image(), say, NODE=node_image())
        except LabError as error:
            raise LabError(
                "Instances with a kernel of their own need Debian's package user-mode-linux, which could not be "
                f"installed: use `--kernel container`, or repair this: {str(error).splitlines()[0]}"
            ) from None
    root = kernel_root()
    if root.exists():
        return
    say("making the instances' root file system")
    root.parent.mkdir(parents=True, exist_ok=True)
    if not any(lab.kernel == "own" for lab in labs()):
        for old in root.parent.iterdir():
            old.unlink()
    unfinished = root.with_suffix(".new")
    engine.containers.run(
        kernel_image(),
        [f"/made/{unfinished.name}"],
        entrypoint=["/usr/local/sbin/lab-kernel/root"],
        network_mode="none",
        cap_add=["SYS_ADMIN"],
        security_opt=["apparmor=unconfined", "seccomp=unconfined"],
        volumes=[f"{root.parent}:/made"],
        remove=True,
    )
    unfinished.rename(root)


def kernel_image() -> str:
    """The reference of the image that runs instances with a kernel of their own."""
    return f"swarm-lab/kernel:{_digest(RECIPES / 'node')}-{_digest(RECIPES / 'kernel')}"


def kernel_root() -> Path:
    """The root file system that these instances share; each writes to a file of its own."""
    return HOME / "kernel" / f"{kernel_image().partition(':')[2]}.ext4"


def node_image() -> str:
    """The reference of the instances' image."""
    return f"swarm-lab/node:{_digest(RECIPES / 'node')}"


def _ensure_base(engine: docker.DockerClient, say: Say) -> None:
    """A minimal Debian: built with mmdebstrap, or the official image if there is no apt-get."""
    if _has(engine, f"{BASE}:latest"):
        return
    if shutil.which("apt-get"):
        if not shutil.which("mmdebstrap"):
            install("mmdebstrap", say=say, needed_for="mmdebstrap, which builds the lab's base image,")
        say(f"building the base image: Debian {SUITE}")
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "base.tar"
            command = ["mmdebstrap", "--quiet", "--variant=minbase", '--aptopt=Acquire::Languages "none"']
            command += ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]
            command += ["--dpkgopt=path-exclude=/usr/share/locale/*", SUITE, str(archive), MIRROR]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                raise LabError(f"mmdebstrap could not build the base image: {result.stderr.strip()[-500:]}")
            engine.api.import_image_from_file(str(archive), repository=BASE, tag="latest")
        return
    try:
        say(f"pulling debian:{SUITE}-slim as the base image")
        engine.images.pull("debian", f"{SUITE}-slim").tag(BASE)
    except APIError as error:
        raise LabError(
            f"The base image could be neither built (no apt-get here) nor pulled: {error.explanation}"
        ) from None


def _stamp(reference: str) -> Path:
    return registry.FOLDER / "published" / reference.replace("/", "_")


def _unpublished(*, on_request: bool) -> dict[str, Path]:
    """Recipe folders of the images that the registry lacks or has in an old version, by reference."""

    def current(reference: str, recipe: Path) -> bool:
        stamp = _stamp(reference)
        return stamp.exists() and stamp.read_text() == _digest(recipe)

    listed = yaml.safe_load((RECIPES / "images.yml").read_text())
    images = {
        image["reference"]: RECIPES / image["folder"] for image in listed if on_request or not image.get("on_request")
    }
    return {reference: recipe for reference, recipe in images.items() if not current(reference, recipe)}


def _publish(engine: docker.DockerClient, wanted: dict[str, Path], say: Say) -> None:
    if not wanted:
        return
    _ensure_base(engine, say)
    # Engines push over plain HTTP only to loopback, so the registry listens there meanwhile.
    with registry.serving("127.0.0.1", registry.free_port()) as address:
        for reference, recipe in wanted.items():
            pushed_as = f"{address}/{reference}"
            _build(engine, recipe, pushed_as, say)
            for line in engine.api.push(pushed_as, stream=True, decode=True):
                if "error" in line:
                    raise LabError(f"Publishing {reference} to the lab's registry failed: {line['error']}")
            engine.api.remove_image(pushed_as, noprune=True)
            _stamp(reference).parent.mkdir(parents=True, exist_ok=True)
            _stamp(reference).write_text(_digest(recipe))


def _build(engine: docker.DockerClient, recipe: Path, reference: str, say: Say, **arguments: str) -> None:
    say(f"building {reference.partition('/')[2] if ':' in reference.partition('/')[0] else reference}")
    try:
        engine.images.build(path=str(recipe), tag=reference, network_mode="host", rm=True, buildargs=arguments)
    except BuildError as error:
        log = "".join(str(line.get("stream", "")) for line in error.build_log)
        raise LabError(f"Building {reference} failed: {error.msg}\n{log[-2000:]}") from None


def _has(engine: docker.DockerClient, reference: str) -> bool:
    try:
        engine.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _digest(recipe: Path) -> str:
    """A digest of the recipe's files, the Debian suite and the architecture."""
    digest = hashlib.sha256(f"{SUITE} {platform.machine()}".encode())
    for path in sorted(path for path in recipe.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(recipe)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
