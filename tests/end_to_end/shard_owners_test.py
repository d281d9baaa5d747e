"""Shards are their silos' own: only the ranks of a silo open its shard, and shards that every user can read are noticed."""

import os
import shutil
import stat
import subprocess
import unittest

import harness

DATA, RUNTIME = 3, 4
BRIEF = ("--run.rounds", "2", "--eval.compare_local", "false")


class ShardOwners(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.shards = self.folder / "shards"
        shutil.copytree(harness.ROOT / "configs" / "data" / "penguins", self.shards)
        self.files = sorted(self.shards.glob("silo-*.h5"))
        for file in self.files:
            file.chmod(0o600)
        self.flags = [*BRIEF, "--data.public", "false", "--data.shards", ", ".join(map(str, self.files))]

    def open_to_all(self, *files):
        for file in files:
            file.chmod(0o644)
        for folder in (self.folder, self.shards):
            folder.chmod(0o755)

    def test_shards_that_all_can_read_are_warned_about_once(self):
        self.assertEqual(self.train(flags=self.flags).err, "")
        self.open_to_all(*self.files[:2])
        result = self.train(flags=self.flags, name="open")
        self.assertEqual(result.err.count("warning"), 1, result.err)
        self.assertIn(f"every user of their machine can read 2 shards ({self.files[0]}, ...)", result.err)
        self.assertEqual(self.train(flags=[*self.flags[:2], "--eval.compare_local", "false", "--data.shards", self.shards], name="public").err, "")

    def test_or_refused(self):
        strict = [*self.flags, "--run.strict_permissions", "true"]
        self.train(flags=strict)
        self.open_to_all(self.files[1])
        result = self.train(flags=strict, name="open", code=DATA)
        self.assertIn(f"run.strict_permissions: every user of this machine can read {self.files[1]}", result.err)
        self.folder.chmod(0o700)  # nobody can come to it
        self.train(flags=strict, name="closed")

    def test_a_shard_is_opened_by_the_rank_of_its_silo_alone(self):
        """Every rank has a file system in which the other shards cannot be read."""
        hide = 'r=$OMPI_COMM_WORLD_RANK; i=0; for f in "$A" "$B" "$C"; do [ $i = $r ] || mount --bind "$EMPTY" "$f"; i=$((i+1)); done; exec "$@"'
        empty = self.folder / "empty"
        empty.touch()
        try:
            can_mount = subprocess.run(["unshare", "--mount", "sh", "-ec", f"mount --bind {empty} {self.files[0]}"], capture_output=True).returncode == 0
        except OSError:
            can_mount = False
        if not can_mount:
            self.skipTest("no right to mount")
        env = {**harness.mpi_environment(), "EMPTY": str(empty), **dict(zip("ABC", map(str, self.files)))}
        for name, more in (("plain", []), ("secure", ["--exchange.secure", "true"])):
            words = harness.command(["train", harness.PENGUINS, "--run.dir", self.folder / name, *self.flags, *more])
            done = subprocess.run([harness.MPIEXEC, "-n", "3", "unshare", "--mount", "sh", "-c", hide, "sh", *words], capture_output=True, text=True, env=env, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.train(flags=self.flags, ranks=1, name=f"{name}-open")
            self.assertEqual(self.sha(name), self.sha(f"{name}-open"))
        # The check itself can fail: a rank that hosts a silo whose shard is hidden.
        words = harness.command(["train", harness.PENGUINS, "--run.dir", self.folder / "two", *self.flags])
        done = subprocess.run([harness.MPIEXEC, "-n", "2", "unshare", "--mount", "sh", "-c", hide, "sh", *words], capture_output=True, text=True, env=env, timeout=120)
        self.assertEqual(done.returncode, DATA, done.stdout + done.stderr)

    def test_shards_are_read_through_a_folder_that_is_left_empty(self):
        self.train(flags=self.flags, name="here")
        stage = self.folder / "stage"
        self.train(flags=[*self.flags, "--data.stage", stage], name="staged")
        self.assertEqual(self.sha("here"), self.sha("staged"))
        self.assertEqual(list(stage.iterdir()), [])
        message = self.train(flags=[*self.flags, "--data.stage", self.files[0]], name="no-folder", code=RUNTIME).err
        self.assertIn("data.stage: cannot copy", message)

    def test_what_is_written_is_for_its_user_alone(self):
        os.umask(0o022)
        self.train(flags=self.flags)
        for path in (self.folder / "run").rglob("*"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()
