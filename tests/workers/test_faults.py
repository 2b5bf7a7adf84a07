"""Directories and files that fail: counted, never fatal, and totals do not fall."""

import errno
import fcntl
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.workers import Start

import obskit
from obskit.errors import ConfigurationError
from obskit.metrics import Counter
from obskit.workers import Worker, _slot
from obskit.workers._snapshot import Numbers, Shape, UnreadableSnapshotError, decode, encode

Faults = list[tuple[str, Exception]]

GOOD = encode({Shape("orders", "counter"): Numbers("", {"orders_total ": 1.0})})


def cannot_write(path: Path) -> bool:
    try:
        (path / "obskit-test").touch()
    except OSError:
        return True
    (path / "obskit-test").unlink()
    return False


@pytest.mark.parametrize("kind", ["missing", "file", "read-only"])
def test_an_unusable_directory_is_an_error_of_the_configuration(tmp_path: Path, kind: str) -> None:
    path = {"missing": tmp_path / "missing", "file": tmp_path / "file", "read-only": Path("/sys")}[
        kind
    ]
    (tmp_path / "file").touch()
    if kind == "read-only" and not (path.is_dir() and cannot_write(path)):
        pytest.skip("/sys can be written here")
    with pytest.raises(
        ConfigurationError, match=r"'workers_dir': .* cannot be used \(.+\): create"
    ):
        obskit.configure(workers_dir=str(path), logging="off")
    assert not obskit.runtime.active_runtime().configured


def test_a_directory_without_locks_is_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems have none."""

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(ConfigurationError, match="No locks available"):
        obskit.configure(workers_dir=str(tmp_path), logging="off")


def test_a_full_disk_at_the_start_is_not_fatal(
    start: Start, tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path) -> _slot.Slot:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_slot.Slot, "take", full)
        one = start()
        Counter("orders", "O.", registry=one.registry).inc()
        assert "orders_total 1.0" in one.scrape()
    assert {site for site, _ in faults} == {"workers.write"}
    assert one.value("orders_total") == 1
    assert (tmp_path / "obskit-1-0000.snapshot").exists()


def test_a_snapshot_that_does_not_fit_leaves_the_one_before(
    start: Start, tmp_path: Path, faults: Faults
) -> None:
    """The limit of a file's size stands for a full disk: the write fails in the middle."""
    one, two = start(), start()
    counter = Counter("orders", "O.", registry=one.registry)
    counter.inc()
    one.worker.flush()
    counter.inc()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        page = one.scrape()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "orders_total 1.0" in page
    assert [site for site, _ in faults] == ["workers.write"]
    assert not list(tmp_path.glob("*.tmp"))
    assert one.value("orders_total") == two.value("orders_total") == 2


FULL = """
import os, sys
from pathlib import Path
import obskit
from obskit._guard import guard
from obskit.metrics import Counter

directory = Path(sys.argv[1])
runtime = obskit.configure(workers_dir=str(directory), logging="off")
orders = Counter("orders", "O.")
orders.inc()
assert b"orders_total 1.0" in runtime.render()[0]
filler = os.open(directory / "filler", os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(filler, bytes(4096))
except OSError:
    pass
orders.inc()
assert b"orders_total 1.0" in runtime.render()[0]
assert guard.counts["workers.write"] == 1
os.ftruncate(filler, 0)
assert b"orders_total 2.0" in runtime.render()[0]
print("survived")
"""


def test_a_full_disk_in_earnest(tmp_path: Path) -> None:
    mounted = f'mount -t tmpfs -o size=64k none "{tmp_path}" && exec "$@"'
    command = ["unshare", "-Urm", "sh", "-c", mounted, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("a file system cannot be mounted here")
    done = subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "survived\n", done.stderr


def foreign(path: Path) -> None:
    path.write_bytes(b"# HELP someone else's\n")


def truncated(path: Path) -> None:
    path.write_bytes(GOOD[:-3])


def empty(path: Path) -> None:
    path.touch()


def flipped(path: Path) -> None:
    path.write_bytes(GOOD.replace(b"1.0", b"9.0"))


def malformed(path: Path) -> None:
    path.write_bytes(encode({Shape("orders", "counter", "", "median"): Numbers("", {})}))


def linked(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(GOOD)
    path.symlink_to(target)


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(_slot.MAX_BYTES + 1)


@pytest.mark.parametrize(
    "make",
    [foreign, truncated, empty, flipped, malformed, linked, directory, fifo, sock, huge],
    ids=lambda make: make.__name__,
)
def test_a_file_that_is_no_snapshot_is_left_out_and_counted(
    start: Start, tmp_path: Path, faults: Faults, make: Callable[[Path], None]
) -> None:
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    make(tmp_path / "obskit-1-0007.snapshot")
    assert one.value("orders_total") == 1
    assert [site for site, _ in faults] == ["workers.read"]
    assert "obskit-1-0007.snapshot" in str(faults[0][1])


@pytest.mark.parametrize("make", [foreign, truncated, linked], ids=lambda make: make.__name__)
def test_a_slot_with_such_a_file_is_used_all_the_same(
    start: Start, tmp_path: Path, faults: Faults, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "obskit-1-0000.snapshot")
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    assert one.value("orders_total") == 1
    assert [site for site, _ in faults] == ["workers.read"]
    assert not (tmp_path / "obskit-1-0000.snapshot").is_symlink()
    if (tmp_path / "target").exists():
        assert (tmp_path / "target").read_bytes() == GOOD


def test_other_files_do_not_matter(start: Start, tmp_path: Path, faults: Faults) -> None:
    for name in ("notes.txt", "obskit-2-0000.snapshot", "obskit-1-0000.snapshot.bak", "x.db"):
        (tmp_path / name).write_bytes(GOOD)
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    assert one.value("orders_total") == 1
    assert faults == []


@pytest.mark.parametrize("make", [directory, linked], ids=lambda make: make.__name__)
def test_a_lock_that_is_no_file_is_passed_over(
    start: Start, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "obskit-1-0000.lock")
    one = start()
    one.worker.flush()
    assert (tmp_path / "obskit-1-0001.snapshot").exists()


def test_a_leftover_of_a_killed_writer_is_replaced(start: Start, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("the host's")
    (tmp_path / "obskit-1-0000.tmp").symlink_to(target)
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    assert one.value("orders_total") == 1
    assert target.read_text() == "the host's"
    assert not list(tmp_path.glob("*.tmp"))


def test_files_are_for_their_owner_only(start: Start, tmp_path: Path) -> None:
    start().worker.flush()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"obskit-1-0000.lock": 0o600, "obskit-1-0000.snapshot": 0o600}


def test_a_deleted_directory_comes_back(tmp_path: Path, faults: Faults) -> None:
    """What living workers have counted is kept: each writes it again."""
    shared = tmp_path / "shared"
    shared.mkdir()
    registries = [CollectorRegistry(), CollectorRegistry()]
    one, two = (Worker(str(shared), registry) for registry in registries)
    for registry in registries:
        Counter("orders", "O.", registry=registry).inc(2)
    one.flush()
    two.flush()
    shutil.rmtree(shared)
    one.flush()
    assert b"orders_total 4.0" in two.render()[0]
    assert stat.S_IMODE(shared.stat().st_mode) == 0o700
    assert faults == []


def test_a_directory_that_cannot_come_back(tmp_path: Path, faults: Faults) -> None:
    """This worker's own numbers are shown, and what it took over from a dead one."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "obskit-1-0000.snapshot").write_bytes(GOOD)
    registry = CollectorRegistry()
    worker = Worker(str(shared), registry)
    Counter("orders", "O.", registry=registry).inc(2)
    shutil.rmtree(shared)
    shared.touch()
    assert b"orders_total 3.0" in worker.render()[0]
    assert [site for site, _ in faults] == ["workers.write", "workers.read"]


def test_a_deleted_lock_does_not_make_a_worker_its_own_heir(start: Start, tmp_path: Path) -> None:
    one = start()
    counter = Counter("orders", "O.", registry=one.registry)
    counter.inc()
    one.worker.flush()
    (tmp_path / "obskit-1-0000.lock").unlink()
    counter.inc()
    assert one.value("orders_total") == 2


def test_a_deleted_snapshot_is_written_again_though_nothing_changed(
    start: Start, tmp_path: Path
) -> None:
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    one.worker.flush()
    (tmp_path / "obskit-1-0000.snapshot").unlink()
    assert one.value("orders_total") == 1


def test_nothing_is_written_while_nothing_changes(start: Start, tmp_path: Path) -> None:
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    one.worker.flush()
    written = (tmp_path / "obskit-1-0000.snapshot").stat().st_ino
    one.worker.flush()
    assert (tmp_path / "obskit-1-0000.snapshot").stat().st_ino == written


def test_a_family_that_cannot_be_shown_is_left_out(
    start: Start, tmp_path: Path, faults: Faults
) -> None:
    one = start()
    Counter("orders", "O.", registry=one.registry).inc()
    odd = encode({Shape("odd", "no kind"): Numbers("", {"odd ": 1.0})})
    (tmp_path / "obskit-1-0007.snapshot").write_bytes(odd)
    assert one.value("orders_total") == 1
    assert [site for site, _ in faults] == ["workers.page"]


@pytest.mark.parametrize("content", [b"", b"\n", GOOD + b"\n", GOOD[:30]])
def test_no_part_of_a_snapshot_is_one(content: bytes) -> None:
    with pytest.raises(UnreadableSnapshotError):
        decode(content)
