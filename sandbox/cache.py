"""Where downloads are kept, and how they get there whole or not at all.

A download is made in a staging folder beside its final place and renamed when it is complete, so that an interrupted
one leaves nothing that looks finished. A lock file a name keeps two commands from fetching the same thing twice;
different names download at the same time.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sandbox.errors import SandboxError

VARIABLE = "BISYNC_SANDBOX_CACHE"
_threads: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
START_BYTES = 16 << 20  # what a server writes before it answers
DOWNLOAD_BYTES = 1_000_000_000  # both downloads, unpacked, with room to stage them


def say(message: str) -> None:
    """Show one step of progress, a line on standard error, so that standard output stays data."""
    click.echo(message, err=True)


def cache_dir() -> Path:
    """Give the cache folder, made if need be.

    Root's own is not below /root, which others may not enter: the servers run as an ordinary user even then.
    """
    if chosen := os.environ.get(VARIABLE):
        path = Path(chosen).expanduser().absolute()
    elif os.geteuid() == 0:
        path = Path("/var/cache/bisync-topology")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(base) / "bisync-topology"
    make_folder(path)
    return path


def make_folder(path: Path) -> None:
    """Make a folder and the ones above it, enterable by the user that the servers run as whatever the umask is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        hint = f"set {VARIABLE} to a folder that you can write to"
        raise SandboxError(f"cannot make the folder {path}: {exc.strerror}", hint=hint) from exc
    if os.geteuid() == 0:
        for folder in missing:
            folder.chmod(0o755)


@contextmanager
def locked(lock_file: Path) -> Iterator[None]:
    """Hold `lock_file`; whoever comes second waits, and is told why."""
    make_folder(lock_file.parent)
    with lock_file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another command that holds {lock_file}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached(name: str, build: Callable[[Path], None], *, needs_bytes: int = DOWNLOAD_BYTES) -> Path:
    """Give the cache's folder `name`, built by `build(staging folder)` if it is not there yet."""
    target = cache_dir() / name
    if target.is_dir():
        return target
    with _threads[name], locked(cache_dir() / f"{name}.lock"):
        if target.is_dir():  # whoever held the lock before has made it
            return target
        _sweep(target)
        require_room(target.parent, needs_bytes)
        staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=target.parent))
        staging.chmod(0o755)
        try:
            build(staging)
            staging.rename(target)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_space(target.parent, str(exc.strerror)) from exc
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def require_room(folder: Path, needs_bytes: int) -> None:
    """Refuse to go on with a disk that is as good as full: what programs say in that state is no help."""
    free = shutil.disk_usage(folder).free
    if free < needs_bytes:
        raise no_space(folder, f"{needs_bytes >> 20} MiB are needed, {free >> 20} MiB are free")


def no_space(folder: Path, what: str) -> SandboxError:
    """Make the error of a full disk."""
    return SandboxError(f"no space in {folder}: {what}", hint=f"free some, or use a folder with more (--root, {VARIABLE})")


def _sweep(target: Path) -> None:
    """Remove what an earlier, killed download of the same name left behind; the lock is held."""
    for stale in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(stale, ignore_errors=True)
