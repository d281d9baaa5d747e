"""The promise: same configuration, data and silos give the same model bytes, whatever runs them."""

import os
import random
import signal
import time
import unittest

import harness

KILLS = int(os.environ.get("SILOSUM_KILLS", "4"))

CNN = """
[run]
rounds = 4
[data]
shards = shards
[model]
name = layers
layers = conv 3 3 pad=1, relu, maxpool 2, conv 5 3, tanh, flatten, dropout 0.2, dense 11, relu, dense outputs
[local]
batch_size = 7
lr = 0.05
momentum = 0.5
[selection]
silos_per_round = {selected}
[checkpoint]
every = 1
"""


class Exactness(harness.EndToEnd):
    def test_penguins_have_the_same_bits_on_any_number_of_ranks_in_both_rings(self):
        for bits in (32, 64):
            shas = set()
            for ranks in (1, 2, 3, 4, 8):  # fewer than, as many as and more than the three silos
                name = f"{bits}-{ranks}"
                self.train(ranks=ranks, name=name, flags=["--exchange.ring_bits", bits, "--eval.compare_local", "false"])
                shas.add(self.sha(name))
            self.assertEqual(len(shas), 1, f"ring of {bits} bits")

    def test_a_network_of_all_kinds_has_the_same_bits_on_any_ranks_and_threads(self):
        self.image_shards(7, split="dirichlet:0.5")
        config = self.write_config(CNN.format(selected=5))
        shas = set()
        for ranks, threads in ((1, 1), (2, 1), (3, 2), (8, 1), (1, 2), (2, 3)):
            name = f"{ranks}-{threads}"
            self.train(config, ranks, name, ["--run.threads", threads])
            shas.add(self.sha(name))
        self.assertEqual(len(shas), 1)

    def test_evaluation_and_losses_have_the_same_bits_on_any_ranks(self):
        self.image_shards(5)
        config = self.write_config(CNN.format(selected=0))
        flags = ["--eval.common_test", self.folder / "shards" / "test.h5"]
        records = []
        for ranks in (1, 3):
            self.train(config, ranks, f"{ranks}", flags)
            records.append([{k: line[k] for k in ("train_loss", "test", "common_test", "model_sha256", "clipped", "range")} for line in self.metrics(f"{ranks}")])
        self.assertEqual(records[0], records[1])

    def test_every_range_rule_has_the_same_bits_on_any_ranks(self):
        for rule in ("fixed", "from_previous", "agreed"):
            shas = set()
            for ranks in (1, 2, 4):
                self.train(ranks=ranks, name=f"{rule}-{ranks}", flags=["--exchange.range", rule, "--eval.compare_local", "false"])
                shas.add(self.sha(f"{rule}-{ranks}"))
            self.assertEqual(len(shas), 1, rule)

    def test_killed_at_random_moments_and_resumed_is_uninterrupted(self):
        self.image_shards(5)
        config = self.write_config(CNN.format(selected=3))
        flags = ["--run.rounds", "30", "--local.state", "keep"]
        started = time.monotonic()
        self.train(config, 2, "whole", flags)
        duration = time.monotonic() - started
        draw = random.Random(7)
        kills = 0
        while kills < KILLS:
            process = harness.start(["resume", config, "--run.dir", self.folder / "killed", *flags], draw.choice((1, 2, 3)))
            time.sleep(draw.uniform(0.3, max(0.4, duration)))
            pids = harness.rank_pids(process.pid)
            if process.poll() is None and pids:
                os.kill(draw.choice(pids), signal.SIGKILL)
                kills += 1
            result = harness.finish(process)
            if result.code == 0:  # it was done before the kill
                self.assertEqual(self.sha("killed"), self.sha("whole"))
                harness.shutil.rmtree(self.folder / "killed")
        self.train(config, 3, "killed", [*flags, "--run.resume", "auto"])
        self.assertEqual(self.sha("killed"), self.sha("whole"))
        self.assertEqual([line["round"] for line in self.metrics("killed")], list(range(1, 31)))
        whole = [line["model_sha256"] for line in self.metrics("whole")]
        self.assertEqual([line["model_sha256"] for line in self.metrics("killed")], whole)


class Signals(harness.EndToEnd):
    FLAGS = ["--run.rounds", "100000", "--eval.every", "0", "--eval.compare_local", "false", "--checkpoint.every", "0", "--run.progress", "lines"]

    def started_run(self):
        process = harness.start(["train", harness.PENGUINS, "--run.dir", self.folder / "run", *self.FLAGS], 3)
        metrics = self.folder / "run" / "metrics.jsonl"
        harness.wait_until(lambda: metrics.exists() and metrics.stat().st_size > 2000, what="training")
        return process

    def check_stopped_and_resumes(self, result):
        self.assertEqual(result.code, 75, str(result))
        done = self.metrics()[-1]["round"]
        flags = ["--eval.every", "0", "--eval.compare_local", "false"]
        self.train(ranks=2, flags=["--run.resume", "auto", "--run.rounds", done + 50, *flags])
        self.train(ranks=1, name="whole", flags=["--run.rounds", done + 50, *flags])
        self.assertEqual(self.sha(), self.sha("whole"))

    def test_sigusr1_to_mpirun_saves_and_exits_75(self):
        process = self.started_run()
        process.send_signal(signal.SIGUSR1)
        self.check_stopped_and_resumes(harness.finish(process))

    def test_sigterm_to_one_rank_saves_and_exits_75(self):
        process = self.started_run()
        os.kill(harness.rank_pids(process.pid)[1], signal.SIGTERM)
        self.check_stopped_and_resumes(harness.finish(process))

    def test_a_rank_killed_with_kill_9_ends_the_job_within_seconds(self):
        process = self.started_run()
        started = time.monotonic()
        os.kill(harness.rank_pids(process.pid)[1], signal.SIGKILL)
        result = harness.finish(process)
        self.assertNotEqual(result.code, 0)
        self.assertLess(time.monotonic() - started, 15)
        # Whoever notices first says so: the launcher, or a rank that is left.
        self.assertRegex(result.err + result.out, "signal 9|rank 1 has died")


if __name__ == "__main__":
    unittest.main()
