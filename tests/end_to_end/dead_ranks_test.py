"""Ranks that are killed while others go on, under a launcher that lets them: a death at any step of a round is, to the bit, a withdrawal of
its silos from that round on, or the round is refused; nothing hangs, and no model is ever summed over two sets of silos.

SILOSUM_DEATHS: how many deaths at random moments each kind of run gets (1). SILOSUM_DEATH_STRIDE: of the steps of a round every so many-th is
tried (7). SILOSUM_LAUNCHER_SURVIVES: the words that make the launcher let ranks outlive each other (--enable-recovery)."""

import json
import os
import random
import shutil
import signal
import time
import unittest

import harness

RUNTIME, DONE_WITHOUT_SOME = 4, 5
DEATHS = int(os.environ.get("SILOSUM_DEATHS", "1"))
STRIDE = int(os.environ.get("SILOSUM_DEATH_STRIDE", "7"))
SURVIVES = os.environ.get("SILOSUM_LAUNCHER_SURVIVES", "--enable-recovery").split()
ROUNDS = 4
RANKS = 4

CONFIG = f"""
[run]
rounds = {ROUNDS}
on_dead_rank = continue
progress = none
[data]
shards = shards
standardise = federated
[model]
name = mlp
[local]
batch_size = 10
lr = 0.1
[exchange]
max_weight = 1000
corrupt = 0.2
roster = roster.json
keys = keys
[checkpoint]
every = 2
"""


class DeadRanks(harness.EndToEnd):
    silos = 6
    stride = STRIDE

    def setUp(self):
        super().setUp()
        self.image_shards(self.silos, rows=240)
        self.names = [path.stem.removeprefix("silo-") for path in sorted((self.folder / "shards").glob("silo-*.h5"))]
        self.config = self.write_config(CONFIG)
        self.references = {}

    def start(self, name, flags):
        return harness.start_with([harness.MPIEXEC, *SURVIVES, "-n", str(RANKS)], ["train", self.config, "--run.dir", self.folder / name, *flags])

    def survive(self, name, flags):
        """The launcher of Open MPI 4 says 0 whatever happened: what the run wrote counts."""
        result = harness.finish(self.start(name, flags))
        return result, self.written(name)

    def written(self, name):
        path = self.folder / name / "summary.json"
        return json.loads(path.read_text()) if path.exists() else None

    def reference(self, lost, first, flags=(), rounds=ROUNDS):
        """The hashes of all rounds of a run without deaths, from which these silos withdraw."""
        key = (tuple(lost), first, tuple(flags), rounds)
        if key not in self.references:
            name = f"reference-{len(self.references)}"
            leaving = ", ".join(f"{number}:{silo}:train" for number in range(first, rounds + 1) for silo in lost)
            self.train(self.config, 2, name, [*flags, "--run.rounds", rounds, *(["--exchange.rehearse_leaving", leaving] if leaving else [])])
            self.references[key] = [line["model_sha256"] for line in self.metrics(name)]
        return self.references[key]

    def silos_of(self, rank):
        return [name for place, name in enumerate(self.names) if place % RANKS == rank]

    def check_survivors(self, name, summary, result, flags=(), rounds=ROUNDS):
        """The record and the model of a run that has gone on."""
        for death in summary["deaths"]:
            self.assertEqual(summary["lost"], [silo for silo in self.names if any(silo in self.silos_of(rank) for rank in death["dead"])])
        first = summary["deaths"][0]["round"] if summary["deaths"] else rounds + 1
        self.assertEqual([line["round"] for line in self.metrics(name)], list(range(1, rounds + 1)), str(result))
        self.assertEqual([line["model_sha256"] for line in self.metrics(name)], self.reference(summary["lost"], first, flags, rounds), str(result))
        self.assertEqual(summary["model_sha256"], self.metrics(name)[-1]["model_sha256"])
        self.assertEqual([line["trained"] for line in self.metrics(name)[first - 1:]], [self.silos - len(summary["lost"])] * (rounds + 1 - first))

    def kill_at_random(self, name, draw, flags):
        """Sends a signal to one rank at a random moment of training."""
        process = self.start(name, flags)
        record = self.folder / name / "metrics.jsonl"
        harness.wait_until(record.exists, what="the record")
        ranks = harness.rank_pids(process.pid)
        time.sleep(draw.uniform(0, 0.3))
        try:
            os.kill(draw.choice(ranks), signal.SIGKILL)
        except ProcessLookupError:
            pass  # the run was faster
        return harness.finish(process), self.written(name)

    def every_step(self, rank, flags):
        """Kills the rank at its first, second, ... wait of round 2, until there is none; how many that are."""
        wait = 0
        rounds = set()
        for wait in range(1, 200):
            if wait > 2 and wait % self.stride != 0:
                continue
            name = f"death-{rank}-{wait}"
            result, summary = self.survive(name, [*flags, "--run.rehearse_death", f"2:{rank}:{wait}"])
            self.assertIsNotNone(summary, f"wait {wait}: {result}")
            if not summary["deaths"]:
                break
            self.assertEqual(summary["deaths"], [{"round": summary["deaths"][0]["round"], "dead": [rank]}])
            self.assertIn(f"rank {rank} has died", result.err)
            self.check_survivors(name, summary, result, flags)
            rounds.add(summary["deaths"][0]["round"])
            shutil.rmtree(self.folder / name)
        self.assertGreater(wait, 10)
        self.assertEqual(rounds, {2, 3}, "deaths before and after the model of round 2 was published")


class ReadInPlace(DeadRanks):
    """A silo a rank: updates are read where they lie, before a death and after it."""

    silos = RANKS
    stride = 1  # a round has few waits

    def test_a_rank_that_dies_at_any_step_withdraws_its_silo(self):
        result, summary = self.survive("whole", [])
        self.assertEqual(summary["transport"], "shared memory, read in place", str(result))
        result, summary = self.survive("one", ["--run.rehearse_death", "2:1:4"])
        self.assertEqual([death["dead"] for death in summary["deaths"]], [[1]], str(result))
        self.assertEqual(summary["transport"], "shared memory, read in place", str(result))
        self.every_step(1, [])


class Plain(DeadRanks):
    def test_a_rank_that_dies_at_any_step_withdraws_its_silos(self):
        self.every_step(1, [])

    def test_so_does_the_first_rank_which_writes_the_record(self):
        self.every_step(0, ["--exchange.transport", "messages"])

    def test_a_second_death_while_the_first_is_dealt_with(self):
        """The run goes on without both, or ends where a rank was in a call of MPI that nobody can be called back from; it never hangs."""
        for wait in range(5, 45, 2 * STRIDE):
            name = f"second-{wait}"
            result, summary = self.survive(name, ["--run.rehearse_death", f"2:1:4, 2:3:{wait}"])
            if summary is None:
                self.assertRegex(result.err, "this rank ends too|has died|have died", str(result))
            else:
                dead = set(summary["deaths"][-1]["dead"])
                self.assertLessEqual({1, 3}, dead, str(result))
                if dead != {1, 3}:  # a rank ended in such a call, and was taken for dead by one that was not in it
                    self.assertIn("this rank ends too", result.err)
                if len(summary["deaths"]) == 1:
                    self.check_survivors(name, summary, result)

    def test_two_ranks_that_die_together(self):
        result, summary = self.survive("both", ["--run.rehearse_death", "2:1:4, 2:2:4"])
        self.assertEqual(summary["deaths"], [{"round": 2, "dead": [1, 2]}], str(result))
        self.check_survivors("both", summary, result)

    def test_a_rank_that_is_killed_at_a_random_moment(self):
        draw = random.Random(11)
        ends = {}
        for trial in range(DEATHS):
            name = f"random-{trial}"
            result, summary = self.kill_at_random(name, draw, ["--run.rounds", 60, "--checkpoint.every", 7])
            self.assertIsNotNone(summary, str(result))
            self.check_survivors(name, summary, result, rounds=60)
            end = "survived" if summary["deaths"] else "was faster"
            ends[end] = ends.get(end, 0) + 1
            shutil.rmtree(self.folder / name)
        print("deaths at random moments of plain runs:", ends)

    def test_a_rank_that_is_stopped_is_left_behind_and_ends_once_it_wakes(self):
        process = self.start("late", ["--exchange.deadline_s", 2, "--run.rounds", 300, "--checkpoint.every", 0])
        record = self.folder / "late" / "metrics.jsonl"
        harness.wait_until(lambda: record.exists() and record.read_text().count("\n") > 2, what="a round")
        stopped = sorted(harness.rank_pids(process.pid))[2]
        os.kill(stopped, signal.SIGSTOP)
        if "ulfm" in SURVIVES:  # a rank that lives cannot be left out of its agreement: all end
            others = [rank for rank in harness.rank_pids(process.pid) if rank != stopped]
            harness.wait_until(lambda: not any(rank in others for rank in harness.rank_pids(process.pid)), what="the end of the others")
            try:
                os.kill(stopped, signal.SIGCONT)  # the launcher waits for it at times, and kills it only then
            except ProcessLookupError:
                pass
            result = harness.finish(process)
            self.assertIsNone(self.written("late"), str(result))
            self.assertNotEqual(result.code, 0)
            self.assertIn("rank 2 does not answer", result.err)
            return
        written = self.folder / "late" / "summary.json"
        harness.wait_until(written.exists, what="the end of the run")
        os.kill(stopped, signal.SIGCONT)
        result = harness.finish(process)
        self.assertEqual([death["dead"] for death in json.loads(written.read_text())["deaths"]], [[2]], str(result))
        self.assertIn("rank 2 does not answer", result.err)
        self.assertIn("the others have gone on without it", result.err)

    def test_too_few_silos_left_end_the_run(self):
        result, summary = self.survive("few", ["--run.min_silos", 5, "--run.rehearse_death", "3:1:4"])
        self.assertIsNone(summary)
        self.assertIn("rank 1 has died: 4 silos left, run.min_silos = 5; the last good checkpoint is", result.err)

    def test_without_leave_to_continue_a_death_ends_the_run_at_once(self):
        start = time.monotonic()
        result, summary = self.survive("end", ["--run.on_dead_rank", "end", "--run.rehearse_death", "3:1:4"])
        self.assertIsNone(summary)
        self.assertLess(time.monotonic() - start, 20)
        self.assertIn("rank 1 has died; the last good checkpoint is", result.err)
        self.train(self.config, RANKS, "end", ["--run.resume", "auto"])
        self.assertEqual(self.sha("end"), self.reference([], 1)[-1])

    def test_what_cannot_go_on_is_refused_at_the_start(self):
        for flags in (["--local.state", "keep", "--local.momentum", 0.9], ["--local.ranks_per_silo", 2]):
            result = self.train(self.config, RANKS, "refused", flags, code=2)
            self.assertIn("run.on_dead_rank = continue does not go with", result.err)


class Secure(DeadRanks):
    silos = 8
    flags = ["--exchange.secure", "true", "--exchange.weights", "uniform", "--eval.every", 2]

    def setUp(self):
        super().setUp()
        (self.folder / "keys").mkdir()
        entries = []
        for name in self.names:
            result = harness.run(["keygen", "--silo", name, "--valid-until", "2099-12-31", "--folder", self.folder / "keys"])
            entries.append(json.loads(result.out))
        (self.folder / "roster.json").write_text(json.dumps({"format": "silosum-roster", "version": 1, "silos": entries}))

    def renew_ledgers(self):
        for ledger in (self.folder / "keys").glob("*.ledger"):
            ledger.write_text(ledger.read_text().splitlines()[0] + "\n")

    def audit(self):
        """One set of silos, in all ledgers, for each model and purpose that shares were given for."""
        sets = {}
        for ledger in sorted((self.folder / "keys").glob("*.ledger")):
            for line in ledger.read_text().splitlines()[1:]:
                kind, context, *rest = line.split(" ")
                if kind == "out":
                    sets.setdefault(context, set()).add(rest[0])
        self.assertTrue(sets)
        for context, of_context in sets.items():
            self.assertEqual(len(of_context), 1, f"two sets of silos on one model: {context} {of_context}")

    def end_of(self, name, result, summary, rounds=ROUNDS):
        """Of a run with a death: "sum", "refused" or "none" where nothing died."""
        self.audit()
        if summary is None:
            self.assertRegex(result.err, "may have given shares|only|refused|were left out", str(result))
            return "refused"
        self.check_survivors(name, summary, result, ["--exchange.weights", "uniform"], rounds)
        return "sum" if summary["deaths"] else "none"

    def test_a_rank_that_dies_at_any_step_leaves_the_exact_sum_or_a_refusal(self):
        ends = []
        for wait in range(1, 300):
            if wait > 2 and wait % STRIDE != 0:
                continue
            name = f"death-{wait}"
            self.renew_ledgers()
            ends.append(self.end_of(name, *self.survive(name, [*self.flags, "--run.rehearse_death", f"2:1:{wait}"])))
            if ends[-1] == "refused" and ends.count("refused") == 1:
                # With all ranks again the sum is done over the same silos: the model of a run in which nothing died.
                self.train(self.config, RANKS, name, [*self.flags, "--run.resume", "auto"])
                self.assertEqual(self.sha(name), self.reference([], 1, ["--exchange.weights", "uniform"])[-1])
                self.audit()
            if ends[-1] == "none":
                break
        self.assertEqual(set(ends), {"sum", "refused", "none"})
        self.assertEqual(ends[0], "sum")

    def test_a_rank_that_is_killed_at_a_random_moment(self):
        draw = random.Random(12)
        ends = {}
        for trial in range(DEATHS):
            name = f"random-{trial}"
            self.renew_ledgers()
            result, summary = self.kill_at_random(name, draw, [*self.flags, "--run.rounds", 20])
            end = self.end_of(name, result, summary, 20)
            ends[end] = ends.get(end, 0) + 1
            shutil.rmtree(self.folder / name)
        print("deaths at random moments of secure runs:", ends)


if __name__ == "__main__":
    unittest.main()
