"""A SLURM of four virtual nodes for the tests, and jobs in it. Python's standard library only."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
import harness  # noqa: E402

JOBS = harness.ROOT / "jobs"
SCRIPT = harness.ROOT / "scripts" / "slurm_local.sh"
SKIPPED = 77


class Cluster:
    """Up from its making to stop(). Other test runs on this machine may have theirs."""

    def __init__(self, nodes=4):
        if shutil.which("sbatch") is None or shutil.which("munged", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            print("SLURM is not installed (slurm-wlm, munge); scripts/test.sh installs it")
            sys.exit(SKIPPED)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets want a short path
        self.env = dict(os.environ, SLURM_LOCAL_DIR=str(self.folder / "c"))
        self.run(SCRIPT, "start", nodes, timeout=120)
        for line in self.run(SCRIPT, "env").splitlines():
            for word in line.removeprefix("export ").split():
                name, value = word.split("=", 1)
                self.env[name] = value.strip("'")

    def stop(self):
        self.run(SCRIPT, "stop", timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words, cwd=None, env=None, timeout=60, code=0):
        """Standard output of a command that must end with this code."""
        done = subprocess.run(
            list(map(str, words)), capture_output=True, text=True, timeout=timeout, cwd=cwd, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def log(self):
        return "".join(path.read_text()[-1500:] for path in sorted((self.folder / "c" / "log").glob("*.log")))


class SlurmTest(harness.EndToEnd):
    """Jobs are submitted from a folder of the test's own; their output lies there, too."""

    cluster = None

    def submit(self, *words, env=None):
        """The number of the job. Words: options of sbatch, the script, its arguments."""
        return self.cluster.run("sbatch", "--parsable", *words, cwd=self.folder, env=env).strip()

    def wait(self, job, timeout=120):
        """Until it has ended: (state, exit code) of each member."""
        done = subprocess.run([SCRIPT, "wait", job, str(timeout)], capture_output=True, text=True, env=self.cluster.env)
        assert done.returncode != 124, f"job {job} has not ended\n{done.stdout}\n{self.output(job)}"
        return [(line.split()[1], int(line.split()[2].split(":")[0])) for line in done.stdout.splitlines()]

    def output(self, job):
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"*-{job}*.out")))

    def finish(self, job, state="COMPLETED", code=0, timeout=120):
        """Its output, once it has ended like this."""
        self.assertEqual(set(self.wait(job, timeout)), {(state, code)}, self.output(job))
        return self.output(job)

    def rounds(self, name="penguins"):
        """How many lines the record of a run has."""
        path = self.folder / "runs" / name / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    def wait_for_rounds(self, count, name="penguins", job=""):
        try:
            harness.wait_until(lambda: self.rounds(name) >= count, timeout=60, what=f"round {count}")
        except AssertionError:
            raise AssertionError(f"round {count} did not come\n{self.output(job)}\n{self.cluster.run('squeue')}")

    def check_uninterrupted(self, name="penguins", flags=()):
        """The run has the model that one process makes of as many rounds without a stop."""
        summary = self.summary(f"runs/{name}")
        self.train(ranks=1, name=f"whole-{name}", flags=["--run.rounds", summary["rounds"], "--eval.compare_local", "false", *flags])
        self.assertEqual(summary["model_sha256"], self.sha(f"whole-{name}"))
        lines = [line["round"] for line in self.metrics(f"runs/{name}")]
        self.assertEqual(lines, list(range(1, summary["rounds"] + 1)))
        return summary
