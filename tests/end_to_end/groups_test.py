"""Silos that groups of ranks host together: one hash for any number of groups, close to one rank a silo, and clear refusals."""

import json
import os
import pathlib
import re
import signal
import unittest

import harness
import secure_test

USAGE, DATA, RUNTIME = 2, 3, 4

NETWORK = """
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
clip_norm = 2
[selection]
silos_per_round = 4
[checkpoint]
every = 1
"""

NO_COMPARISON = ["--eval.compare_local", "false"]


def groups_of(each):
    return ["--local.ranks_per_silo", each]


class Groups(harness.EndToEnd):
    def test_any_number_of_groups_has_the_same_bits(self):
        """Fewer, as many and more groups than the three silos; batches that leave ranks without a sample; both ways of messages."""
        for each in (2, 3):
            shas = set()
            for ranks in (each, 2 * each, 3 * each, 4 * each):
                for transport in ("auto", "messages"):
                    name = f"{each}-{ranks}-{transport}"
                    result = self.train(ranks=ranks, name=name, flags=[*groups_of(each), *NO_COMPARISON, "--exchange.transport", transport, "--local.batch_size", 5])
                    self.assertIn(f"3 silos on {ranks} ranks, {each} ranks each", result.out)
                    self.assertEqual("ranks without a silo" in result.out, ranks > 3 * each)
                    self.assertEqual(self.summary(name)["ranks_per_silo"], each)
                    shas.add(self.sha(name))
            self.assertEqual(len(shas), 1, f"{each} ranks a silo")

    def test_a_network_of_all_kinds_has_the_same_bits_and_the_same_records(self):
        self.image_shards(5, split="dirichlet:0.5")
        config = self.write_config(NETWORK)
        for each, all_ranks in ((2, (2, 6)), (3, (3, 6)), (4, (8,))):
            records = []
            for ranks in all_ranks:
                for threads in (1, 2):
                    name = f"{each}-{ranks}-{threads}"
                    flags = [*groups_of(each), "--run.threads", threads, "--eval.common_test", self.folder / "shards" / "test.h5"]
                    self.train(config, ranks, name, flags)
                    keys = ("train_loss", "train_losses", "weight_sum", "steps", "trained", "participants", "test", "common_test", "model_sha256", "clipped", "range")
                    records.append([{key: line.get(key) for key in keys} for line in self.metrics(name)])
            for other in records[1:]:
                self.assertEqual(other, records[0])

    def test_adam_and_its_kept_state(self):
        flags = [*NO_COMPARISON, "--local.optimizer", "adam", "--local.state", "keep", "--local.clip_norm", "0.5", *groups_of(2)]
        self.train(ranks=2, name="whole", flags=[*flags, "--run.rounds", 6])
        self.train(ranks=6, name="parts", flags=[*flags, "--run.rounds", 3])
        files = [entry["name"] for entry in self.manifest("parts", 3)["files"]]
        self.assertEqual(sorted(files), ["global.h5", "silo-0000.h5", "silo-0001.h5", "silo-0002.h5"])
        self.train(ranks=4, name="parts", flags=[*flags, "--run.rounds", 6, "--run.resume", "auto"])
        self.assertEqual(self.sha("parts"), self.sha("whole"))
        self.assertEqual([line["model_sha256"] for line in self.metrics("parts")], [line["model_sha256"] for line in self.metrics("whole")])

    def manifest(self, name, number):
        return json.loads((self.folder / name / "checkpoints" / f"round-{number:06}" / "manifest.json").read_text())

    def test_few_steps_are_close_to_those_of_one_rank_a_silo(self):
        """Penguins: losses of 2 rounds of small steps, sums of floats in two orders. Each sum of at most 32 slopes is within 32 * 2^-24 of
        its terms, and the loss moves by no more than the weights do: 2^-24 * 32 * steps, of a loss near 1."""
        flags = [*NO_COMPARISON, "--run.rounds", 2, "--eval.every", 1]
        self.train(ranks=1, name="alone", flags=flags)
        steps = self.metrics("alone")[-1]["steps"]
        for each in (2, 3, 5):
            self.train(ranks=each, name=f"{each}", flags=[*flags, *groups_of(each)])
            self.assertNotEqual(self.sha(f"{each}"), self.sha("alone"))
            for line, alone in zip(self.metrics(f"{each}"), self.metrics("alone")):
                for name in ("weight_sum", "steps", "trained", "participants"):
                    self.assertEqual(line[name], alone[name])
                self.assertAlmostEqual(line["train_loss"], alone["train_loss"], delta=2**-24 * 32 * 2 * steps)
                self.assertEqual(line["test"]["overall"]["rows"], alone["test"]["overall"]["rows"])
                self.assertEqual([row["rows"] for row in line["test"]["silos"]], [row["rows"] for row in alone["test"]["silos"]])

    def test_silos_alone_are_compared_in_groups_too(self):
        outcomes = []
        for ranks in (2, 4, 8):
            self.train(ranks=ranks, name=f"{ranks}", flags=[*groups_of(2), "--run.rounds", 4])
            outcomes.append(self.summary(f"{ranks}")["alone"])
        self.assertEqual(outcomes[0], outcomes[1])
        self.assertEqual(outcomes[0], outcomes[2])

    def test_weights_of_classes_and_every_range(self):
        for rule in ("fixed", "agreed"):
            shas = set()
            for ranks in (2, 4):
                name = f"{rule}-{ranks}"
                self.train(ranks=ranks, name=name, flags=[*groups_of(2), *NO_COMPARISON, "--exchange.range", rule, "--data.class_weights", "balanced"])
                shas.add(self.sha(name))
            self.assertEqual(len(shas), 1, rule)


class UnderMasks(secure_test.Secure):
    def test_masked_is_plain_in_both_rings_and_with_tags(self):
        for bits, each, all_ranks in ((32, 2, (2, 6, 8)), (64, 3, (3, 6))):
            flags = [*groups_of(each), *NO_COMPARISON, "--exchange.ring_bits", bits, "--eval.every", 1, "--run.rounds", 4]
            self.train(ranks=each, name=f"plain-{bits}", flags=flags)
            for ranks in all_ranks:
                for integrity in ("none", "tags"):
                    if integrity == "tags" and ranks > 3 * each:
                        continue  # every group needs a silo that signs
                    name = f"{bits}-{ranks}-{integrity}"
                    self.train(ranks=ranks, name=name, flags=[*flags, "--exchange.secure", "true", "--exchange.integrity", integrity])
                    self.assertEqual(self.hashes(name), self.hashes(f"plain-{bits}"))
                    for line, plain in zip(self.metrics(name), self.metrics(f"plain-{bits}")):
                        self.assertEqual(line["test"]["overall"], plain["test"]["overall"])
                        for key in ("train_loss", "weight_sum", "clipped", "trained"):
                            self.assertEqual(line[key], plain[key])
        result = self.train(ranks=8, name="mute", flags=[*groups_of(2), "--exchange.secure", "true", *NO_COMPARISON, "--exchange.integrity", "tags"], code=USAGE)
        self.assertIn("rank 6 hosts no silo that could sign for its part of the sum; start at most 6 ranks", result.err)

    def test_with_keys_of_a_roster_and_a_round_that_is_done_again(self):
        config = self.federation(5, standardise="federated")
        self.train(config, 2, "plain", groups_of(2))
        for ranks in (2, 10):
            result = self.secure(config, ranks, f"secure-{ranks}", *groups_of(2), new_ledgers=True)
            self.assertEqual(self.hashes(f"secure-{ranks}"), self.hashes("plain"))
            self.assertIn("no silo, rank or relay learns" if ranks == 10 else "silos of different domains share a process", result.out)
        # With the ledgers that the last one left: the same sums, which another size of the groups would not give.
        self.secure(config, 4, "again", *groups_of(2))
        self.assertEqual(self.hashes("again"), self.hashes("plain"))
        result = self.secure(config, 3, "other", *groups_of(3), code=RUNTIME)
        self.assertIn("gave other words to a sum on this model before", result.err)

    def test_leavers_at_every_step(self):
        config = self.federation(7)
        steps = ("train", "keys", "shares", "entry", "signature", "release")
        leaving = [f"{number + 1}:{self.names[number]}:{step}" for number, step in enumerate(steps)]
        flags = [*groups_of(2), "--exchange.rehearse_leaving", ", ".join(leaving), "--exchange.weights", "uniform", "--exchange.corrupt", "0.2"]
        self.train(config, 2, "plain", flags)
        for ranks in (4, 8):
            self.secure(config, ranks, f"secure-{ranks}", *flags, new_ledgers=True)
            self.assertEqual(self.hashes(f"secure-{ranks}"), self.hashes("plain"))

    def test_killed_and_resumed_is_uninterrupted(self):
        config = self.federation(5, model="softmax")
        flags = [*groups_of(2), "--run.rounds", "4000", "--checkpoint.every", "5", "--eval.every", "0"]
        process = harness.start(["train", config, "--run.dir", self.folder / "run", "--exchange.secure", "true", *flags], 4)
        metrics = self.folder / "run" / "metrics.jsonl"
        harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 8, what="the eighth round")
        os.kill(harness.rank_pids(process.pid)[1], signal.SIGKILL)  # no first of a group
        self.assertNotEqual(harness.finish(process).code, 0)
        flags[3] = str(metrics.read_text().count("\n") + 2)
        self.secure(config, 2, "run", "--run.resume", "auto", *flags)
        self.train(config, 2, "plain", flags)
        self.assertEqual(self.hashes("run"), self.hashes("plain"))

    def test_a_silo_that_misses_its_deadline(self):
        """One silo would train for minutes. When the rounds are done again, its ledger, which its first rank alone has, tells both ranks."""
        self.federation_with_a_slow_silo()
        config = self.write_config(secure_test.CONFIG.format(model="mlp", standardise="none"))
        flags = [*groups_of(2), "--run.rounds", 2, "--exchange.weights", "uniform", "--local.epochs", 300]
        late = [*flags, "--local.deadline_s", 3]
        self.train(config, 2, "plain", late)
        result = self.secure(config, 2, "secure", *late)
        self.assertEqual(result.err.count('silo "slow" gives nothing to round 2'), 1, str(result))
        self.assertEqual(self.hashes("secure"), self.hashes("plain"))
        self.secure(config, 4, "again", *flags)
        self.assertEqual(self.hashes("again"), self.hashes("plain"))

    def test_only_the_first_rank_of_a_group_holds_keys(self):
        config = self.federation(3)
        process = harness.start(["train", config, "--run.dir", self.folder / "run", "--exchange.secure", "true", "--run.rounds", "100000", *groups_of(2)], 6)
        try:
            metrics = self.folder / "run" / "metrics.jsonl"
            harness.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 1, what="the first round")
            ledgers = []
            for pid in harness.rank_pids(process.pid):
                targets = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
                ledgers.append(sum(target.endswith(".ledger") for target in targets))
            self.assertEqual(sorted(ledgers), [0, 0, 0, 1, 1, 1])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


class Refusals(harness.EndToEnd):
    def assert_one_line(self, result, *words):
        for word in words:
            self.assertIn(word, result.err, str(result))
        self.assertEqual(result.err.count("silosum: "), 1, str(result))

    def test_ranks_that_cannot_be_cut_into_groups(self):
        words = "local.ranks_per_silo = 2: 3 ranks cannot be cut into groups of 2; start 2 or 4"
        self.assert_one_line(self.train(ranks=3, flags=groups_of(2), code=USAGE), words)
        self.assert_one_line(self.train(ranks=2, flags=groups_of(4), code=USAGE), "groups of 4; start 4")
        result = harness.run(["plan", harness.PENGUINS, "--ranks", 3, *groups_of(2)])
        self.assertEqual(result.code, USAGE)
        self.assertIn(words, result.err)

    def test_the_plan_knows_groups(self):
        result = harness.run(["plan", harness.PENGUINS, *groups_of(2)])
        self.assertIn("3 silos on 6 ranks, 2 ranks each", result.out)
        self.assertIn("a step to those that train a silo with it", result.out)
        self.assertIn("sum of gradients", result.out)
        result = harness.run(["plan", harness.PENGUINS, "--ranks", 8, *groups_of(2)])
        self.assertIn("2 ranks without a silo", result.out)

    def test_another_number_of_ranks_a_silo_cannot_go_on(self):
        self.train(ranks=2, flags=[*groups_of(2), *NO_COMPARISON, "--run.rounds", 2])
        for ranks, each in ((1, 1), (3, 3)):
            result = self.train(ranks=ranks, flags=[*groups_of(each), *NO_COMPARISON, "--run.resume", "auto"], code=USAGE)
            self.assert_one_line(result, f"local.ranks_per_silo: was 2, is {each}")

    def test_a_broken_shard_ends_all_ranks(self):
        shards = self.image_shards(3)
        config = self.write_config(NETWORK.replace("silos_per_round = 4", "silos_per_round = 0"))
        broken = sorted(shards.glob("silo-*.h5"))[1]
        broken.write_bytes(broken.read_bytes()[:500])
        result = self.train(config, ranks=6, flags=groups_of(2), code=DATA)
        self.assert_one_line(result, "ranks 2, 3: ", broken.name)

    def test_a_silo_that_diverges_is_told_once(self):
        """Each step multiplies the weights by 1 - lr * decay = -999."""
        flags = [*groups_of(2), *NO_COMPARISON, "--local.weight_decay", 1, "--local.lr", 1000]
        result = self.train(ranks=4, flags=flags, code=RUNTIME)
        self.assertEqual(len(re.findall("ranks 0, 1: silo .* its training diverged, the loss is", result.err)), 1, str(result))
        self.assertEqual(result.err.count("silosum: "), 1, str(result))

    def test_a_deadline_is_the_silos(self):
        self.image_shards(3)
        config = self.write_config(NETWORK.replace("silos_per_round = 4", "silos_per_round = 0"))
        result = self.train(config, ranks=4, flags=[*groups_of(2), "--run.rounds", 1, "--local.deadline_s", "1e-9"])
        self.assertEqual(result.err.count("gives nothing to round 1"), 3, str(result))
        self.assertEqual(self.metrics()[0]["trained"], 0)
        self.assertEqual(self.metrics()[0]["participants"], 3)


if __name__ == "__main__":
    unittest.main()
