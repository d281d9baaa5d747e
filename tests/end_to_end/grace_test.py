"""A round that takes longer than the grace after a signal is given up: what was before it is saved, and it is trained again."""

import os
import signal
import time
import unittest

import harness

STOPPED = 75
ROUND_S = 0.4  # long beside the time in which a signal arrives
# Nothing is saved but on a signal.
QUIET = ("--checkpoint.every", "0", "--eval.every", "0", "--eval.compare_local", "false", "--run.progress", "none")
MODES = {
    "plain": (2, ()),
    "secure": (3, ("--exchange.secure", "true")),
    "groups": (2, ("--local.ranks_per_silo", "2")),
}


class Grace(harness.EndToEnd):
    slow = None  # the flags that make a round last ROUND_S on this machine

    def setUp(self):
        super().setUp()
        if self.slow is None:
            steps = 40000
            self.train(name="tried", flags=["--run.rounds", 2, "--local.steps", steps, *QUIET])
            per_round = self.metrics("tried")[-1]["seconds"]["train"]["wall"]
            Grace.slow = ("--local.steps", max(1, round(steps * ROUND_S / per_round)), *QUIET)

    def stopped(self, name, after, grace_s, flags=(), ranks=2):
        """Signals one rank some time after the end of a round, and returns what the run says, and how long that took."""
        run = self.folder / name
        words = ["train", harness.PENGUINS, "--run.dir", run, "--run.rounds", 3, "--run.resume", "auto", "--run.grace_s", grace_s, *self.slow, *flags]
        process = harness.start(words, ranks)
        metrics = run / "metrics.jsonl"
        harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= after, 60, f"round {after}")
        time.sleep(0.05)
        begin = time.monotonic()
        os.kill(harness.rank_pids(process.pid)[-1], signal.SIGTERM)
        result = harness.finish(process)
        self.assertEqual(result.code, STOPPED, str(result))
        return result, time.monotonic() - begin

    def resume(self, name, whole, flags=(), ranks=2):
        result = self.train(name=name, ranks=ranks, flags=["--run.rounds", 3, "--run.resume", "auto", *self.slow, *flags])
        self.assertEqual(self.sha(name), self.sha(whole))
        self.assertEqual([line["round"] for line in self.metrics(name)], [1, 2, 3])
        return result

    def test_a_round_that_is_given_up_is_trained_again_to_the_same_bits(self):
        for mode, (ranks, flags) in MODES.items():
            with self.subTest(mode):
                self.train(name=f"whole-{mode}", ranks=ranks, flags=["--run.rounds", 3, *self.slow, *flags])
                result, _ = self.stopped(mode, 1, 0, flags, ranks)
                self.assertIn("round 2 went on for longer than run.grace_s after a signal to stop: it is given up", result.out)
                self.assertEqual(self.summary(mode)["rounds"], 1)
                self.assertIn("resumed after round 1", self.resume(mode, f"whole-{mode}", flags, ranks).out)

    def test_in_the_first_round_there_is_nothing_to_save(self):
        self.train(name="whole", flags=["--run.rounds", 3, *self.slow])
        result, _ = self.stopped("run", 0, 0)
        self.assertIn("no checkpoint was saved before", result.out)
        self.assertFalse((self.folder / "run" / "summary.json").exists())
        self.resume("run", "whole")

    def test_kept_state_goes_back_to_the_last_checkpoint(self):
        flags = ("--local.state", "keep", "--local.momentum", "0.9", "--local.lr", "0.01")
        self.train(name="whole", flags=["--run.rounds", 3, *self.slow, *flags])
        result, _ = self.stopped("run", 1, 0, flags)
        self.assertIn("no checkpoint was saved before", result.out)
        self.resume("run", "whole", flags)

    def test_within_the_grace_the_round_is_ended(self):
        result, _ = self.stopped("run", 1, 60)
        self.assertNotIn("given up", result.out)
        self.assertEqual(self.summary()["rounds"], 2)


if __name__ == "__main__":
    unittest.main()
