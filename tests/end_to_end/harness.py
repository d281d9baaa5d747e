"""Runs the silosum binary under mpirun for the end-to-end tests. Python's standard library only."""

import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SILOSUM = os.environ["SILOSUM"]
MPIEXEC = os.environ.get("MPIEXEC", "mpiexec")
PENGUINS = ROOT / "configs" / "penguins.cfg"


def mpi_environment():
    """Many ranks on few cores, also as root; after a failure mpirun does not wait two seconds for the ranks that are left."""
    env = dict(os.environ)
    env.update(
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_rmaps_base_oversubscribe="1",
        OMPI_MCA_mpi_yield_when_idle="1",
        OMPI_MCA_hwloc_base_binding_policy="none",
        OMPI_MCA_odls_base_sigkill_timeout="0",
    )
    return env


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def command(arguments, ranks=None):
    words = [SILOSUM, *map(str, arguments)]
    return words if ranks is None else [MPIEXEC, "-n", str(ranks), *words]


def run(arguments, ranks=None, timeout=120, env=None, cwd=None, user=None):
    """Runs to the end, as another user where one is given; a hang is a failure."""
    environment = mpi_environment()
    environment.update(env or {})
    process = subprocess.run(
        command(arguments, ranks), capture_output=True, text=True, timeout=timeout, env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
        user=user,
    )
    return Result(process.returncode, process.stdout, process.stderr)


def start(arguments, ranks, cwd=None):
    """Starts in a session of its own, so that a test can end all of it."""
    return start_with([MPIEXEC, "-n", str(ranks)], arguments, cwd)


def start_with(launcher, arguments, cwd=None):
    """The same under a launcher with words of its own."""
    return subprocess.Popen(
        [*launcher, *command(arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=mpi_environment(), cwd=cwd,
        start_new_session=True, stdin=subprocess.DEVNULL,
    )


def finish(process, timeout=60):
    end = time.monotonic() + timeout
    while True:
        try:
            out, err = process.communicate(timeout=5)
            return Result(process.returncode, out, err)
        except subprocess.TimeoutExpired:
            # Once in some hundred times Open MPI 4's mpirun locks itself up where a rank dies while it starts: no rank of ours is left then.
            alone = is_alone(process.pid)
            if not alone and time.monotonic() < end:
                continue
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        if alone:
            return Result(process.returncode, out, err + "the launcher locked itself up after its ranks had ended, and was killed\n")
        raise AssertionError(f"hangs:\n{out}\n{err}")


def is_alone(launcher_pid):
    """All that a launcher has started has ended."""
    try:
        children = pathlib.Path(f"/proc/{launcher_pid}/task/{launcher_pid}/children").read_text().split()
        return bool(children) and all("(zombie)" in pathlib.Path(f"/proc/{child}/status").read_text() for child in children)
    except OSError:  # one of them is being buried
        return False


def rank_pids(mpirun_pid):
    """Processes of the ranks: children of mpirun that run silosum."""
    children = pathlib.Path(f"/proc/{mpirun_pid}/task/{mpirun_pid}/children").read_text().split()
    pids = []
    for child in children:
        try:
            if os.path.basename(os.readlink(f"/proc/{child}/exe")) == os.path.basename(SILOSUM):
                pids.append(int(child))
        except OSError:
            pass
    return pids


def wait_until(condition, timeout=30, what="the condition"):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true in {timeout} s")


def write_images(folder, rows, seed=1, side=12, classes=4, test_rows=40):
    """An IDX data set in which each class has a bright block of its own, so that a small network learns it."""
    draw = random.Random(seed)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", rows), ("t10k", test_rows)):
        labels = bytes(draw.randrange(classes) for _ in range(count))
        pixels = bytearray()
        for label in labels:
            top = label * side // classes
            for y in range(side):
                for _ in range(side):
                    pixels.append(draw.randrange(120, 256) if top <= y < top + side // classes else draw.randrange(0, 120))
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, side, side) + bytes(pixels))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)


class EndToEnd(unittest.TestCase):
    """A temporary folder for each test, and the checks that most of them need."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="silosum-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def train(self, config=PENGUINS, ranks=2, name="run", flags=(), code=0, timeout=120):
        result = run(["train", config, "--run.dir", self.folder / name, *flags], ranks, timeout)
        self.assertEqual(result.code, code, str(result))
        return result

    def summary(self, name="run"):
        return json.loads((self.folder / name / "summary.json").read_text())

    def metrics(self, name="run"):
        return [json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]

    def sha(self, name="run"):
        return self.summary(name)["model_sha256"]

    def image_shards(self, silos, rows=400, split="iid", seed=1):
        write_images(self.folder / "images", rows)
        result = run(["shard", "--from", f"mnist:{self.folder / 'images'}", "--silos", silos, "--split", split, "--seed", seed, "--out", self.folder / "shards"])
        self.assertEqual(result.code, 0, str(result))
        return self.folder / "shards"

    def need_reach_of(self, user):
        """Where the program lies in a folder that only root enters, it cannot be started as somebody else."""
        try:
            subprocess.run([SILOSUM, "--version"], user=user, check=True, capture_output=True)
        except OSError:
            self.skipTest("another user cannot reach the program")

    def write_config(self, text, name="test.cfg"):
        path = self.folder / name
        path.write_text(text)
        return path


if __name__ == "__main__":
    unittest.main()
