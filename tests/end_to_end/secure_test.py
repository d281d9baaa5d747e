"""Sums under masks, with the program: the bits of plain runs, what a ledger keeps from happening after a restart, and what is written down."""

import json
import os
import random
import shutil
import signal
import subprocess
import unittest

import harness

USAGE, DATA, RUNTIME = 2, 3, 4

CONFIG = """
[run]
rounds = 6
[data]
shards = shards
standardise = {standardise}
[model]
name = {model}
[local]
batch_size = 10
lr = 0.1
[exchange]
max_weight = 1000
roster = roster.json
keys = keys
[checkpoint]
every = 2
"""


class Secure(harness.EndToEnd):
    def federation(self, silos, model="mlp", rows=400, standardise="none"):
        """Shards, keys and roster of so many silos, and a configuration that is secure by --exchange.secure true."""
        self.image_shards(silos, rows=rows)
        self.make_identities()
        return self.write_config(CONFIG.format(model=model, standardise=standardise))

    def federation_with_a_slow_silo(self):
        """Four silos with few rows and one with many."""
        draw = random.Random(3)
        rows = [f"{draw.random()},{draw.random()},{draw.choice('ab')},{silo}" for silo in ["s1", "s2", "s3", "s4"] for _ in range(20)]
        rows += [f"{draw.random()},{draw.random()},{draw.choice('ab')},slow" for _ in range(20000)]
        (self.folder / "rows.csv").write_text("\n".join(["x,y,label,silo", *rows]) + "\n")
        result = harness.run(["shard", "--from", f"csv:{self.folder / 'rows.csv'}", "--label", "label", "--split", "by:silo", "--out", self.folder / "shards"])
        self.assertEqual(result.code, 0, str(result))
        self.make_identities()

    def make_identities(self):
        names = [path.stem.removeprefix("silo-") for path in sorted((self.folder / "shards").glob("silo-*.h5"))]
        (self.folder / "keys").mkdir()
        entries = []
        for name in names:
            result = harness.run(["keygen", "--silo", name, "--valid-until", "2099-12-31", "--folder", self.folder / "keys"])
            self.assertEqual(result.code, 0, str(result))
            entries.append(json.loads(result.out))
        (self.folder / "roster.json").write_text(json.dumps({"format": "silosum-roster", "version": 1, "silos": entries}))
        self.names = names

    def hashes(self, name):
        return [line["model_sha256"] for line in self.metrics(name)]

    def secure(self, config, ranks, name, *flags, code=0, new_ledgers=False):
        if new_ledgers:
            for ledger in (self.folder / "keys").glob("*.ledger"):
                ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
        return self.train(config, ranks, name, ["--exchange.secure", "true", *flags], code)


class SameBits(Secure):
    def test_penguins_on_any_number_of_ranks_in_both_rings(self):
        for bits in (32, 64):
            flags = ["--eval.compare_local", "false", "--exchange.ring_bits", bits]
            self.train(ranks=2, name=f"plain-{bits}", flags=flags)
            for ranks in (1, 2, 4, 8):
                self.train(ranks=ranks, name=f"{bits}-{ranks}", flags=[*flags, "--exchange.secure", "true"])
                self.assertEqual(self.hashes(f"{bits}-{ranks}"), self.hashes(f"plain-{bits}"))
                self.assertEqual(self.metrics(f"{bits}-{ranks}")[-1]["test"]["overall"], self.metrics(f"plain-{bits}")[-1]["test"]["overall"])
            self.assertIn("simulation: no privacy claimed", self.summary(f"{bits}-8")["secure"])

    def test_with_tags_of_all_words(self):
        flags = ["--eval.compare_local", "false", "--run.rounds", 3]
        self.train(ranks=2, name="plain", flags=flags)
        flags += ["--exchange.secure", "true", "--exchange.integrity", "tags"]
        for ranks in (1, 3):
            self.train(ranks=ranks, name=f"tags-{ranks}", flags=flags)
            self.assertEqual(self.hashes(f"tags-{ranks}"), self.hashes("plain"))
        result = self.train(ranks=4, name="mute", flags=flags, code=USAGE)
        self.assertIn("exchange.integrity = tags: rank 3 hosts no silo that could sign for its part of the sum; start at most 3 ranks", result.err)

    def test_with_keys_of_a_roster(self):
        config = self.federation(5, standardise="federated")
        self.train(config, 2, "plain")
        for ranks in (1, 5, 8):
            result = self.secure(config, ranks, f"secure-{ranks}", new_ledgers=True)
            self.assertEqual(self.hashes(f"secure-{ranks}"), self.hashes("plain"))
            self.assertIn("no silo, rank or relay learns" if ranks >= 5 else "silos of different domains share a process", result.out)
        # The same run again, with the ledgers that the last one left: the same sums, so nothing new is told.
        self.secure(config, 3, "again")
        self.assertEqual(self.hashes("again"), self.hashes("plain"))

    def test_a_silo_that_misses_its_deadline(self):
        """One silo would train for minutes: rounds go on without it, to the same bits."""
        self.federation_with_a_slow_silo()
        config = self.write_config(CONFIG.format(model="mlp", standardise="none"))
        flags = ["--run.rounds", 2, "--exchange.weights", "uniform", "--local.epochs", 300]
        late = [*flags, "--local.deadline_s", 3]
        result = self.train(config, 2, "plain", late)
        self.assertIn('silo "slow" gives nothing to round 2: it did not end its training within local.deadline_s', result.err)
        self.secure(config, 2, "secure", *late)
        self.assertEqual(self.hashes("secure"), self.hashes("plain"))
        self.assertEqual([line["trained"] for line in self.metrics("secure")], [4, 4])
        losses = {row["silo"]: row["loss"] for row in self.metrics("plain")[1]["train_losses"]}
        self.assertEqual([silo for silo, loss in losses.items() if loss is None], ["slow"])
        # The same rounds again, without a deadline: the ledgers know who gave something and who did not.
        self.secure(config, 3, "again", *flags)
        self.assertEqual(self.hashes("again"), self.hashes("plain"))

    def test_silos_that_leave_at_random_steps(self):
        config = self.federation(7)
        draw = random.Random(5)
        for trial in range(3):
            leaving = []
            for number in range(1, 7):
                for silo in draw.sample(self.names, 2):
                    leaving.append(f"{number}:{silo}:{draw.choice(['train', 'keys', 'shares', 'entry', 'signature', 'release'])}")
            flags = ["--exchange.rehearse_leaving", ", ".join(leaving), "--exchange.weights", "uniform", "--exchange.corrupt", "0.2"]
            flags += ["--run.seed", trial]
            self.train(config, 2, f"plain-{trial}", flags)
            self.secure(config, 3, f"secure-{trial}", *flags)
            self.assertEqual(self.hashes(f"secure-{trial}"), self.hashes(f"plain-{trial}"))

    def test_many_silos_some_of_which_train(self):
        config = self.federation(70, rows=700)
        flags = ["--selection.silos_per_round", "10", "--exchange.weights", "uniform", "--exchange.corrupt", "0.05", "--run.rounds", "2"]
        self.train(config, 2, "plain", flags)
        result = self.secure(config, 2, "secure", *flags)
        self.assertIn("every silo with", result.out)
        self.assertEqual(self.hashes("secure"), self.hashes("plain"))


class Restarts(Secure):
    """Killed after shares had left and before the checkpoint: the ledgers know sums that the run does not."""

    def setUp(self):
        super().setUp()
        self.config = self.federation(5, model="softmax")
        self.flags = ["--run.rounds", "4000", "--checkpoint.every", "1000", "--eval.every", "0"]
        process = harness.start(["train", self.config, "--run.dir", self.folder / "run", "--exchange.secure", "true", *self.flags], 2)
        metrics = self.folder / "run" / "metrics.jsonl"
        harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 8, what="the eighth round")
        os.kill(harness.rank_pids(process.pid)[0], signal.SIGKILL)
        self.assertNotEqual(harness.finish(process).code, 0)
        self.reached = metrics.read_text().count("\n")
        self.flags[1] = str(self.reached + 2)

    def refused(self, *words, flags=(), code=RUNTIME):
        result = self.secure(self.config, 2, "run", "--run.resume", "auto", *self.flags, *flags, code=code)
        for word in words:
            self.assertIn(word, result.err)

    def test_unchanged_it_goes_on_with_the_same_bits(self):
        self.secure(self.config, 3, "run", "--run.resume", "auto", *self.flags)
        self.train(self.config, 1, "plain", self.flags)
        self.assertEqual(self.hashes("run"), self.hashes("plain"))

    def test_with_a_silo_missing_it_is_refused(self):
        self.refused("shares for a sum over other silos on this model have left before", flags=["--exchange.rehearse_leaving", f"1:{self.names[2]}:keys"])

    def test_with_a_changed_shard_it_is_refused(self):
        # The labels of two silos change places; their names stay.
        a, b = (self.folder / "shards" / f"silo-{name}.h5" for name in self.names[:2])
        one, two = a.read_bytes(), b.read_bytes()
        first, second = self.names[0].encode(), self.names[1].encode()
        a.write_bytes(two.replace(second, first))
        b.write_bytes(one.replace(first, second))
        self.refused("gave other words to a sum on this model before")

    def test_with_other_settings_it_is_refused(self):
        self.refused("gave other words to a sum on this model before", flags=["--exchange.range_value", "8"])

    def test_a_lost_ledger_is_refused(self):
        (self.folder / "keys" / f"{self.names[3]}.ledger").unlink()
        self.refused(f"{self.names[3]}.ledger is missing", code=DATA)

    def test_an_older_ledger_is_refused(self):
        ledger = self.folder / "keys" / f"{self.names[3]}.ledger"
        ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
        self.refused(f'silo "{self.names[3]}" no longer knows what it gave')

    def test_under_another_roster_it_is_refused(self):
        """A federation without one silo, on the same first model: the difference of the two sums would be its update."""
        shards = ", ".join(str(self.folder / "shards" / f"silo-{name}.h5") for name in self.names[1:])
        flags = ["--data.shards", shards, "--run.dir", self.folder / "fewer", "--run.rounds", "2"]
        arguments = ["train", self.config, "--exchange.secure", "true", *flags]
        result = harness.run(arguments, 2)
        self.assertEqual(result.code, DATA, str(result))
        self.assertIn(f'names silo "{self.names[0]}", which has no shard', result.err)
        roster = json.loads((self.folder / "roster.json").read_text())
        del roster["silos"][0]
        (self.folder / "roster.json").write_text(json.dumps(roster))
        result = harness.run(arguments, 2)
        self.assertEqual(result.code, RUNTIME, str(result))
        self.assertIn("gave other words to a sum on this model before", result.err)

    def test_another_seed_begins_anew(self):
        self.secure(self.config, 2, "run", "--run.overwrite", "true", *self.flags, "--run.seed", "2")


class Refusals(Secure):
    def fails(self, code, *words, flags=(), ranks=(1, 3)):
        for count in ranks:
            result = self.secure(self.config, count, "run", "--run.overwrite", "true", *flags, code=code)
            for word in words:
                self.assertIn(str(word), result.err, str(result))
            self.assertEqual(result.err.count("silosum: "), 1, str(result))

    def setUp(self):
        super().setUp()
        self.config = self.federation(4, model="softmax")

    def test_what_tells_of_single_silos(self):
        self.fails(USAGE, "exchange.range = agreed", flags=["--exchange.range", "agreed"])
        self.fails(USAGE, "local.state = keep", flags=["--local.momentum", "0.9", "--local.state", "keep"])
        self.fails(USAGE, "eval.compare_local", flags=["--eval.compare_local", "true"])
        self.fails(USAGE, "exchange.max_weight", flags=["--exchange.max_weight", "0"])
        self.fails(USAGE, "exchange.weights = uniform", flags=["--selection.silos_per_round", "3"])

    def test_a_shard_larger_than_declared(self):
        self.fails(RUNTIME, "more training samples than exchange.max_weight allows", flags=["--exchange.max_weight", "20"])

    def test_keys_and_rosters_that_do_not_serve(self):
        key = self.folder / "keys" / f"{self.names[1]}.key"
        key.chmod(0o644)
        self.fails(DATA, key, "can be read by others")
        key.chmod(0o600)
        shutil.copy(self.folder / "keys" / f"{self.names[0]}.key", key)
        self.fails(DATA, key, "is of silo")
        key.unlink()
        self.fails(DATA, key, "silosum keygen")
        keygen = ["keygen", "--silo", self.names[1], "--valid-until", "2099-12-31", "--folder", key.parent]
        result = harness.run(keygen)
        self.assertEqual(result.code, USAGE)
        self.assertIn(f"{key.with_suffix('.ledger')} is there already", result.err)
        key.with_suffix(".ledger").unlink()
        self.assertEqual(harness.run(keygen).code, 0)
        self.fails(DATA, "is not the one that the roster")
        plan = ["plan", self.config, "--exchange.secure", "true"]
        self.assertEqual(harness.run(plan).code, 0, "keys are their silos' own, and not looked at")
        roster = json.loads((self.folder / "roster.json").read_text())
        roster["silos"][2]["valid_until"] = "2020-01-01"
        (self.folder / "roster.json").write_text(json.dumps(roster))
        self.fails(DATA, "was valid until 2020-01-01")
        del roster["silos"][2]
        (self.folder / "roster.json").write_text(json.dumps(roster))
        self.fails(DATA, "has no entry for silo", f'"{self.names[2]}"')
        planned = harness.run(plan)
        self.assertEqual(planned.code, DATA, str(planned))
        self.assertIn(f'has no entry for silo "{self.names[2]}"', planned.err)
        (self.folder / "roster.json").unlink()
        planned = harness.run(plan)
        self.assertEqual(planned.code, 0, str(planned))
        self.assertRegex(planned.err, "warning: exchange.roster: there is no .*roster.json here")

    def test_a_graph_that_holds_nothing_is_refused_by_plan_too(self):
        flags = ["--exchange.secure", "true", "--exchange.identities", "throwaway", "--eval.compare_local", "false"]
        planned = harness.run(["plan", harness.PENGUINS, *flags, "--exchange.graph", "harary", "--exchange.corrupt", "0.49"])
        self.assertEqual(planned.code, USAGE, str(planned))
        self.assertIn("no sparse graph of 3 silos", planned.err)

    def test_an_identity_has_one_job_at_a_time(self):
        flags = ["--run.rounds", "100000", "--run.progress", "none"]
        first = harness.start(["train", self.config, "--run.dir", self.folder / "first", "--exchange.secure", "true", *flags], 2)
        try:
            metrics = self.folder / "first" / "metrics.jsonl"
            harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 1, what="the first round")
            self.fails(USAGE, "is in use by another job", ranks=(2,))
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.communicate()

    def test_a_ledger_that_was_changed(self):
        self.secure(self.config, 2, "once")
        ledger = self.folder / "keys" / f"{self.names[0]}.ledger"
        text = ledger.read_text()
        ledger.write_text(text.replace("out", "in ", 1))
        self.fails(DATA, ledger, "was changed in line")


class WrittenDown(Secure):
    def test_nothing_of_single_silos_and_nothing_secret(self):
        config = self.federation(5)
        result = self.secure(config, 5, "run", "--run.progress", "lines")
        seeds = [json.loads(path.read_text())["seed"] for path in (self.folder / "keys").glob("*.key")]
        self.assertEqual(len(seeds), 5)
        contents = [result.out.encode(), result.err.encode()]
        contents += [path.read_bytes() for path in (self.folder / "run").rglob("*") if path.is_file()]
        for content in contents:
            for seed in seeds:
                self.assertNotIn(seed.encode(), content)
                self.assertNotIn(bytes.fromhex(seed), content)
        for line in self.metrics():
            self.assertNotIn("train_losses", line)
            self.assertTrue({"train", "wait", "evaluate"}.isdisjoint(line["seconds"]))
            self.assertEqual(set(line.get("test", {"overall": 0})), {"overall"})

    def test_no_core_dump(self):
        config = self.federation(3)
        process = harness.start(["train", config, "--run.dir", self.folder / "run", "--exchange.secure", "true", "--run.rounds", "100000"], 3)
        try:
            metrics = self.folder / "run" / "metrics.jsonl"
            harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 1, what="the first round")
            for pid in harness.rank_pids(process.pid):
                limits = subprocess.run(["grep", "core file", f"/proc/{pid}/limits"], capture_output=True, text=True, check=True).stdout
                self.assertIn(limits.split()[4:6], [["1", "1"], ["0", "0"]])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


if __name__ == "__main__":
    unittest.main()
