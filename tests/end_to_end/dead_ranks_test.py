"""Ranks that are killed while others go on, under a launcher that lets them: a death at any step of a round is, to the bit, a withdrawal of
its silos from that round on, or the round is refused; nothing hangs, and no model is ever summed over two sets of silos.

SILOSUM_DEATHS: how many deaths at random moments each kind of run gets (3); every STRIDE-th step of a round is tried (SILOSUM_DEATH_STRIDE, 3)."""

import json
import os
import pathlib
import random
import shutil
import signal
import time
import unittest

import harness

RUNTIME, DONE_WITHOUT_SOME = 4, 5
DEATHS = int(os.environ.get("SILOSUM_DEATHS", "3"))
STRIDE = int(os.environ.get("SILOSUM_DEATH_STRIDE", "3"))
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


def survivable(ranks):
    """The launcher's words for ranks that outlive each other."""
    return [harness.MPIEXEC, "--enable-recovery", "-n", str(ranks)]


class DeadRanks(harness.EndToEnd):
    silos = 6

    def setUp(self):
        super().setUp()
        self.image_shards(self.silos, rows=240)
        self.names = [path.stem.removeprefix("silo-") for path in sorted((self.folder / "shards").glob("silo-*.h5"))]
        self.config = self.write_config(CONFIG)
        self.references = {}

    def start(self, name, flags, ranks=RANKS):
        return harness.start_with(survivable(ranks), ["train", self.config, "--run.dir", self.folder / name, *flags])

    def survive(self, name, flags, ranks=RANKS):
        """The launcher of Open MPI 4 says 0 whatever happened: what the run wrote counts."""
        result = harness.finish(self.start(name, flags, ranks))
        written = self.folder / name / "summary.json"
        return result, json.loads(written.read_text()) if written.exists() else None

    def reference(self, lost, first, flags=()):
        """The hashes of all rounds of a run without deaths, from which these silos withdraw."""
        key = (tuple(lost), first, tuple(flags))
        if key not in self.references:
            name = f"reference-{len(self.references)}"
            leaving = ", ".join(f"{number}:{silo}:train" for number in range(first, ROUNDS + 1) for silo in lost)
            self.train(self.config, 2, name, [*flags, *(["--exchange.rehearse_leaving", leaving] if leaving else [])])
            self.references[key] = [line["model_sha256"] for line in self.metrics(name)]
        return self.references[key]

    def silos_of(self, rank, ranks=RANKS):
        return [name for place, name in enumerate(self.names) if place % ranks == rank]

    def check_survivors(self, name, summary, result, flags=(), ranks=RANKS):
        """The record and the model of a run that has gone on."""
        for death in summary["deaths"]:
            self.assertEqual(summary["lost"], [silo for silo in self.names if any(silo in self.silos_of(rank, ranks) for rank in death["dead"])])
        first = summary["deaths"][0]["round"] if summary["deaths"] else ROUNDS + 1
        self.assertEqual([line["round"] for line in self.metrics(name)], list(range(1, ROUNDS + 1)), str(result))
        self.assertEqual([line["model_sha256"] for line in self.metrics(name)], self.reference(summary["lost"], first, flags), str(result))
        self.assertEqual(summary["model_sha256"], self.metrics(name)[-1]["model_sha256"])
        self.assertEqual([line["trained"] for line in self.metrics(name)[first - 1:]], [self.silos - len(summary["lost"])] * (ROUNDS + 1 - first))


class Plain(DeadRanks):
    def every_step(self, rank, flags):
        """Kills the rank at its first, second, ... wait of round 2, until there is none; how many that are."""
        wait = 0
        rounds = set()
        for wait in range(1, 200):
            if wait > 2 and wait % STRIDE != 0:
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

    def test_a_rank_that_dies_at_any_step_withdraws_its_silos(self):
        self.every_step(1, [])

    def test_so_does_the_first_rank_which_writes_the_record(self):
        self.every_step(0, ["--exchange.transport", "messages"])


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

    def end_of(self, name, flags):
        """Of a run with a death: "sum", "refused" or "none" where nothing died."""
        self.renew_ledgers()
        result, summary = self.survive(name, [*self.flags, *flags])
        self.audit()
        if summary is None:
            self.assertRegex(result.err, "may have given shares|no other|refused|must be summed|were left out|only", str(result))
            return "refused"
        self.check_survivors(name, summary, result, ["--exchange.weights", "uniform"])
        return "sum" if summary["deaths"] else "none"

    def test_a_rank_that_dies_at_any_step_leaves_the_exact_sum_or_a_refusal(self):
        ends = []
        for wait in range(1, 300):
            if wait > 2 and wait % STRIDE != 0:
                continue
            end = self.end_of(f"death-{wait}", ["--run.rehearse_death", f"2:1:{wait}"])
            ends.append((wait, end))
            if end == "none":
                break
        print(ends)
        self.assertEqual({end for _, end in ends}, {"sum", "refused", "none"})


if __name__ == "__main__":
    unittest.main()
