"""Nothing is lost: full disks, damaged or unfinished checkpoints, kills, other settings, and runs that were done already."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import unittest

import harness

USAGE, DATA, RUNTIME = 2, 3, 4

# Kept optimiser state and a choice of silos: what a checkpoint could forget.
CONFIG = """
[run]
rounds = 6
[data]
shards = shards
standardise = federated
[model]
name = mlp
widths = 16
dropout = 0.1
[local]
batch_size = 8
optimizer = adam
lr = 0.005
state = keep
[selection]
silos_per_round = 2
[checkpoint]
every = 1
"""


class Resume(harness.EndToEnd):
    """Shards and an uninterrupted run of six rounds are made once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = harness.pathlib.Path(harness.tempfile.mkdtemp(prefix="silosum-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        harness.write_images(cls.shared / "images", 160)
        result = harness.run(["shard", "--from", f"mnist:{cls.shared / 'images'}", "--silos", 3, "--validation-fraction", 0.2, "--out", cls.shared / "shards"])
        assert result.code == 0, str(result)
        cls.config = cls.shared / "test.cfg"
        cls.config.write_text(CONFIG)
        result = harness.run(["train", cls.config, "--run.dir", cls.shared / "whole"], 2)
        assert result.code == 0, str(result)
        cls.whole = json.loads((cls.shared / "whole" / "summary.json").read_text())
        cls.whole_metrics = [json.loads(line) for line in (cls.shared / "whole" / "metrics.jsonl").read_text().splitlines()]

    def go(self, *flags, ranks=2, code=0, name="run"):
        return self.train(self.config, ranks, name, flags, code)

    def resume(self, *flags, ranks=3, code=0, name="run"):
        return self.go("--run.resume", "auto", *flags, ranks=ranks, code=code, name=name)

    def checkpoint(self, number, name="run"):
        return self.folder / name / "checkpoints" / f"round-{number:06d}"

    def names(self):
        return sorted(path.name for path in (self.folder / "run" / "checkpoints").iterdir())

    def files(self, name="run"):
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (self.folder / name).rglob("*") if path.name != ".lock"}

    def check_whole(self, name="run"):
        """As if it had never stopped: model, best model, and every round once in the record."""
        self.assertEqual(self.sha(name), self.whole["model_sha256"])
        self.assertEqual(self.summary(name)["best"], self.whole["best"])
        kept = ("round", "model_sha256", "train_loss", "test", "validation", "range")
        self.assertEqual([{k: line[k] for k in kept} for line in self.metrics(name)], [{k: line[k] for k in kept} for line in self.whole_metrics])
        self.assertEqual(self.model_sha(self.folder / name / "best.h5"), self.model_sha(self.shared / "whole" / "best.h5"))

    def model_sha(self, model):
        result = harness.run(["evaluate", "--json", "--model", model, "--data", self.shared / "shards" / "silo-000.h5"])
        self.assertEqual(result.code, 0, str(result))
        return json.loads(result.out)["model_sha256"]

    def message(self, result):
        self.assertEqual(result.err.count("silosum: "), 1, str(result))
        return result.err[result.err.index("silosum: ") :].split("\n-----")[0].strip()


class Damage(Resume):
    def test_a_damaged_checkpoint_is_passed_over_and_the_bits_stay_the_same(self):
        changes = {
            "cut": ("global.h5", lambda data: data[: len(data) // 2]),
            "changed": ("global.h5", lambda data: data[:-20] + b"x" + data[-19:]),
            "state": ("silo-*.h5", lambda data: data[:-20] + b"x" + data[-19:]),
            "manifest": ("manifest.json", lambda data: data.replace(b'"without_better": ', b'"without_better": 1')),
        }
        for change, (pattern, damage) in changes.items():
            with self.subTest(change):
                self.go("--run.rounds", 4, name=change)
                file = next(self.checkpoint(4, change).glob(pattern))
                file.write_bytes(damage(file.read_bytes()))
                result = self.resume(name=change)
                self.assertIn(f"warning: {file} is damaged", self.message(result))
                self.assertIn("going back to the checkpoint of round 3", result.err)
                self.check_whole(change)

    def test_when_all_are_damaged_it_says_so_and_loses_nothing(self):
        self.go("--run.rounds", 4)
        for number in (3, 4):
            (self.checkpoint(number) / "global.h5").write_bytes(b"")
        before = self.files()
        message = self.message(self.resume(code=DATA))
        for part in ("no good checkpoint is left", self.checkpoint(3), self.checkpoint(4), "--run.overwrite true"):
            self.assertIn(str(part), message)
        self.assertEqual(self.files(), before)
        self.go("--run.overwrite")
        self.check_whole()

    def test_unfinished_checkpoints_are_passed_over_in_silence(self):
        self.go("--run.rounds", 4)
        (self.checkpoint(4) / "manifest.json").unlink()
        result = self.resume()
        self.assertEqual(result.err, "")
        self.assertIn("resumed after round 3", result.out)
        self.check_whole()

    def test_where_only_unfinished_ones_are_training_starts_anew(self):
        self.go("--run.rounds", 2)
        for number in (1, 2):
            (self.checkpoint(number) / "manifest.json").unlink()
        before = self.files()
        message = self.message(self.resume(code=USAGE))
        self.assertIn("its checkpoints are gone", message)
        self.assertEqual(self.files(), before)
        for name in ("model.h5", "summary.json"):  # as where the run was killed
            (self.folder / "run" / name).unlink()
        (self.folder / "run" / "best.h5").write_text("of the start before")
        (self.folder / "run" / ".model.h5.12345.tmp").write_text("cut by the kill")
        result = self.resume()
        self.assertEqual(result.err, "")
        self.assertNotIn("resumed", result.out)
        self.check_whole()
        self.assertFalse((self.folder / "run" / ".model.h5.12345.tmp").exists())
        self.assertNotEqual((self.folder / "run" / "best.h5").read_bytes(), b"of the start before")
        self.assertEqual(self.names(), ["round-000005", "round-000006"])


class Kills(Resume):
    def test_every_round_is_recorded_once_after_a_kill(self):
        flags = ["--run.rounds", "400", "--checkpoint.every", "7", "--run.progress", "none"]
        process = harness.start(["train", self.config, "--run.dir", self.folder / "run", *flags], 3)
        metrics = self.folder / "run" / "metrics.jsonl"
        harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 10, what="the tenth round")
        os.kill(harness.rank_pids(process.pid)[0], signal.SIGKILL)
        self.assertNotEqual(harness.finish(process).code, 0)
        killed_after = metrics.read_text().count("\n")
        result = self.resume("--run.rounds", killed_after + 5, "--checkpoint.every", "7")
        self.assertIn("resumed after round", result.out)
        lines = self.metrics()
        self.assertEqual([line["round"] for line in lines], list(range(1, killed_after + 6)))
        for line, whole in zip(lines, self.whole_metrics):
            self.assertEqual(line["model_sha256"], whole["model_sha256"])

    def test_a_run_killed_before_its_model_was_written_writes_it(self):
        self.go()
        for name in ("model.h5", "summary.json"):
            (self.folder / "run" / name).unlink()
        result = self.resume()
        self.assertIn("nothing left to train: 6 rounds are done", result.out)
        self.check_whole()
        self.assertEqual(self.summary()["test"], self.whole["test"])
        self.assertEqual(self.model_sha(self.folder / "run" / "model.h5"), self.whole["model_sha256"])

    def test_resume_where_there_is_nothing_starts_from_the_beginning(self):
        self.resume(ranks=1)
        self.check_whole()
        (self.folder / "empty").mkdir()
        self.resume(name="empty")
        self.check_whole("empty")
        self.assertEqual(harness.run(["resume", self.config, "--run.dir", self.folder / "verb"], 2).code, 0)
        self.check_whole("verb")


class Done(Resume):
    def test_a_run_that_is_done_does_nothing_more(self):
        self.go()
        before = self.files()
        result = self.resume()
        self.assertIn("nothing left to train: 6 rounds are done", result.out)
        self.assertEqual(self.files(), before)

    def test_more_rounds_go_on(self):
        self.go("--run.rounds", 3)
        self.resume("--run.rounds", 6)
        self.check_whole()

    def test_a_reached_target_stops_for_good_until_it_is_raised(self):
        losses = [line["test"]["overall"]["loss"] for line in self.whole_metrics]
        target = losses[2]
        self.assertEqual(min(losses[:3]), target)
        flags = ["--eval.target_metric", "loss", "--eval.target", target]
        result = self.go(*flags)
        self.assertIn("stopped (target: loss is", result.out)
        self.assertEqual(self.summary()["rounds"], 3)
        manifest = json.loads((self.checkpoint(3) / "manifest.json").read_text())
        self.assertIn("target: loss is", manifest["stop_reason"])
        before = self.files()
        result = self.resume(*flags)
        self.assertIn("nothing left to train: 3 rounds are done, run.rounds = 6; stopped by target: loss is", result.out)
        self.assertEqual(self.files(), before)
        self.resume("--eval.target_metric", "loss", "--eval.target", 1e-9)
        self.check_whole()

    def test_patience_is_the_same_over_a_resume_and_stops_for_good(self):
        flags = ["--local.lr", "3", "--local.optimizer", "sgd", "--local.momentum", "0.9", "--eval.patience", "4", "--run.rounds", "60"]
        self.go(*flags, name="uninterrupted")
        stopped = self.summary("uninterrupted")
        self.assertIn("patience: validation loss was best in round", stopped["stop_reason"])
        self.go(*flags[:-1], stopped["rounds"] - 2)
        self.resume(*flags)
        self.assertEqual({k: self.summary()[k] for k in ("rounds", "stop_reason", "best", "model_sha256")}, {k: stopped[k] for k in ("rounds", "stop_reason", "best", "model_sha256")})
        self.assertEqual(self.model_sha(self.folder / "run" / "best.h5"), self.model_sha(self.folder / "uninterrupted" / "best.h5"))
        before = self.files()
        self.assertIn("stopped by patience", self.resume(*flags).out)
        self.assertEqual(self.files(), before)

    def test_best_h5_is_the_model_of_the_best_round(self):
        best = self.whole["best"]["round"]
        self.assertEqual(self.model_sha(self.shared / "whole" / "best.h5"), self.whole_metrics[best - 1]["model_sha256"])
        self.assertEqual(self.whole["best"]["loss"], min(line["validation"]["overall"]["loss"] for line in self.whole_metrics))

    def test_the_best_by_another_metric_is_looked_for_anew(self):
        self.go("--run.rounds", 3)
        self.resume("--eval.best_metric", "accuracy")
        values = [line["validation"]["overall"]["accuracy"] for line in self.whole_metrics[3:]]
        self.assertEqual(self.summary()["best"]["accuracy"], max(values))


class Changes(Resume):
    def refused(self, *parts, flags=(), config=None):
        before = self.files()
        result = harness.run(["train", config or self.config, "--run.dir", self.folder / "run", "--run.resume", "auto", "--run.rounds", 8, *flags], 3)
        self.assertEqual(result.code, USAGE, str(result))
        message = self.message(result)
        self.assertIn("cannot resume from", message)
        for part in parts:
            self.assertIn(part, message)
        self.assertEqual(self.files(), before)
        return message

    def test_other_settings_are_all_listed(self):
        self.go("--run.rounds", 2)
        flags = ["--local.lr", "0.01", "--local.clip_norm", "1", "--run.seed", "9", "--selection.silos_per_round", "3", "--data.standardise", "none"]
        message = self.refused(
            "local.lr: was 0.005, is 0.01", "local.clip_norm: was 0, is 1", "run.seed: was 1, is 9", "selection.silos_per_round: was 2, is 3",
            "data.standardise: was federated, is none", flags=flags,
        )
        self.assertEqual(message.count(": was "), 5)

    def test_another_model_is_refused(self):
        self.go("--run.rounds", 2)
        self.refused("model.widths: was 16, is 17", flags=["--model.widths", "17"])
        self.refused("model.name: was mlp, is softmax", "model.widths: was 16, is not in use", "local.beta1: was 0.9, is not in use",
                     config=self.write_config(CONFIG.replace("name = mlp\nwidths = 16\ndropout = 0.1", "name = softmax").replace("optimizer = adam", "momentum = 0.9")
                                              .replace("shards = shards", f"shards = {self.shared / 'shards'}")))

    def test_other_data_is_refused(self):
        shutil.copytree(self.shared / "shards", self.folder / "shards")
        config = self.write_config(CONFIG)
        self.train(config, 2, flags=["--run.rounds", "2"])
        shard = [self.folder / "shards" / f"silo-00{i}.h5" for i in range(3)]
        backwards = ", ".join(str(path) for path in reversed(shard))
        self.refused("the order of the silos was 000, 001, 002, is 002, 001, 000", config=config, flags=["--data.shards", backwards])
        self.refused('silo "002" is missing', config=config, flags=["--data.shards", f"{shard[0]}, {shard[1]}"])
        words = ["shard", "--from", f"mnist:{self.shared / 'images'}", "--silos", 3, "--seed", 2, "--out", self.folder / "other"]
        self.assertEqual(harness.run(words).code, 0)
        shutil.copy(self.folder / "other" / "silo-001.h5", shard[1])
        self.refused('the shard of silo "001" has changed', config=config)

    def test_what_does_not_change_the_bits_may_change(self):
        self.go("--run.rounds", 3)
        self.resume("--run.threads", 2, "--eval.every", 1, "--exchange.chunk_kib", 64, "--checkpoint.keep", 1, ranks=4)
        self.check_whole()


class DiskFull(Resume):
    FLAGS = ("--model.widths", "1000", "--eval.every", "0")

    def uninterrupted(self):
        self.go(*self.FLAGS, "--run.rounds", 4, name="uninterrupted")
        return self.sha("uninterrupted")

    def check_failed_save(self, result, cause, ranks):
        self.assertEqual(result.code, RUNTIME, str(result))
        message = self.message(result)
        for part in ("the checkpoint of round 3 was not saved", "cannot write", cause, "--run.resume auto", f"the last good checkpoint is {self.checkpoint(2)}"):
            self.assertIn(part, message)
        self.assertNotIn("Segmentation", result.err)
        self.assertEqual(len(message.splitlines()), 1 if ranks == 1 else ranks + 1, message)  # each rank has a file of its own

    def test_a_checkpoint_that_does_not_fit_leaves_the_one_before_good(self):
        """A limit on the size of files stands for the full disk, as it needs no rights."""
        expected = self.uninterrupted()
        self.go(*self.FLAGS, "--run.rounds", 2)
        for ranks in (1, 3):
            words = harness.command(["train", self.config, "--run.dir", self.folder / "run", *self.FLAGS, "--run.rounds", 4, "--run.resume", "auto"])
            # Blocks of 512 bytes, or 1024 in some shells; kept state takes 1.2 MB a silo. Without shared memory, whose files are larger.
            limited = [harness.MPIEXEC, "-n", str(ranks), "sh", "-c", 'trap "" XFSZ; ulimit -f 1000; exec "$@"', "sh", *words]
            env = {**harness.mpi_environment(), "OMPI_MCA_btl": "self,tcp"}
            done = subprocess.run(limited, capture_output=True, text=True, timeout=120, env=env, stdin=subprocess.DEVNULL)
            self.check_failed_save(harness.Result(done.returncode, done.stdout, done.stderr), "File too large", ranks)
            self.assertEqual(self.names(), ["round-000001", "round-000002"])
        self.resume(*self.FLAGS, "--run.rounds", 4)
        self.assertEqual(self.sha(), expected)
        self.assertEqual([line["round"] for line in self.metrics()], [1, 2, 3, 4])

    def test_a_full_file_system_leaves_the_one_before_good(self):
        """A memory file system in a mount namespace of its own, with 1 MB left for the third checkpoint."""
        disk = self.folder / "disk"
        disk.mkdir()
        namespace = ["unshare", "--mount", "sh", "-ec"]
        mount = f"mount -t tmpfs -o size=40m tmpfs {shlex.quote(str(disk))}"
        try:
            can_mount = subprocess.run([*namespace, mount], capture_output=True, timeout=60).returncode == 0
        except OSError:
            can_mount = False
        if not can_mount:
            self.skipTest("no right to mount a file system")
        expected = self.uninterrupted()
        start = shlex.join(harness.command(["train", self.config, "--run.dir", disk / "run", *self.FLAGS, "--run.resume", "auto", "--checkpoint.keep", 5], 3))
        script = f"""{mount}
            {start} --run.rounds 2
            head -c $(( $(df --output=avail -B1 {shlex.quote(str(disk))} | tail -1) - 1000000 )) /dev/zero > {disk}/other
            code=0; {start} --run.rounds 4 2> {self.folder}/failed || code=$?
            echo $code > {self.folder}/code; ls {disk}/run/checkpoints > {self.folder}/left
            rm {disk}/other
            {start} --run.rounds 4
            cp -r {disk}/run {self.folder}/copy
            """
        done = subprocess.run([*namespace, script], capture_output=True, text=True, timeout=200, env=harness.mpi_environment(), stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((self.folder / "code").read_text().strip(), str(RUNTIME))
        message = (self.folder / "failed").read_text()
        self.assertIn("the checkpoint of round 3 was not saved", message)
        self.assertIn("No space left on device", message)
        self.assertNotIn("egmentation", message)
        self.assertEqual((self.folder / "left").read_text().split(), ["round-000001", "round-000002"])
        self.assertEqual(self.sha("copy"), expected)


if __name__ == "__main__":
    unittest.main()
