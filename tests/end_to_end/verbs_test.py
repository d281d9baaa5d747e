"""Every verb, and the way from a table or images to predictions and exported models."""

import csv
import json
import math
import os
import random
import re
import subprocess
import unittest

import harness

VERBS = ("shard", "inspect", "plan", "train", "resume", "evaluate", "predict", "export", "report")

CONFIG = """
[run]
rounds = 12
[data]
shards = shards
standardise = federated
[model]
name = {model}
[local]
epochs = 2
batch_size = 8
lr = {lr}
[eval]
every = 4
"""


def write_patients(path, rows, task):
    """Numbers, words and missing values; the label follows from age, dose and ward."""
    draw = random.Random(3)
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("age", "dose", "ward", "smoker", "hospital", "outcome"))
        for row in range(rows):
            age, dose, ward = draw.gauss(50, 12), draw.random(), draw.choice(("east", "west", "south"))
            score = (age - 50) / 6 + 4 * dose - 2 + {"east": 1.5, "west": -1.5, "south": 0}[ward]
            outcome = f"{3 * score + draw.gauss(0, 0.5):.4f}" if task == "regression" else ("alive", "dead")[score + draw.gauss(0, 0.3) > 0]
            missing = draw.random() < 0.1
            table.writerow((f"{age:.1f}", "" if missing else f"{dose:.3f}", ward, "NA" if draw.random() < 0.05 else draw.choice(("yes", "no")), f"clinic {row % 4}", outcome))


class Help(unittest.TestCase):
    def test_every_verb_helps(self):
        listed = harness.run(["--help"])
        self.assertEqual(listed.code, 0)
        for verb in VERBS:
            self.assertIn(f"  {verb} ", listed.out)
            result = harness.run([verb, "--help"])
            self.assertEqual(result.code, 0, str(result))
            self.assertIn(f"silosum {verb if verb != 'resume' else 'train'}", result.out)
            self.assertEqual(result.err, "")

    def test_the_version_is_told(self):
        self.assertRegex(harness.run(["--version"]).out, r"^silosum \d+\.\d+\.\d+\n$")

    def test_an_unknown_verb_suggests_the_nearest(self):
        for word, verb in (("tran", "train"), ("evalute", "evaluate"), ("shards", "shard")):
            result = harness.run([word])
            self.assertEqual(result.code, 2)
            self.assertIn(f'unknown verb "{word}"; did you mean "{verb}"?', result.err)

    def test_a_verb_without_arguments_says_what_it_needs(self):
        for verb in VERBS:
            result = harness.run([verb])
            self.assertEqual(result.code, 2, str(result))
            self.assertNotEqual(result.err, "")

    def test_values_may_look_like_options(self):
        for words in (["--missing-values", "--"], ["--missing-values=--force"], ["--missing-values", "--,NA"]):
            result = harness.run(["shard", "--from", "csv:none", "--out", "none.out", *words])
            self.assertIn("cannot read none", result.err)
        result = harness.run(["shard", "--from", "csv:none", "--missing-values", "--force"])
        self.assertIn("--missing-values needs a value, but --force follows", result.err)

    def test_what_is_wrong_on_all_ranks_is_said_once(self):
        for words in (["bensh"], ["bench", "--typo"], ["train", "--run.rounds", "3"]):
            result = harness.run(words, ranks=3)
            self.assertEqual(result.code, 2, str(result))
            self.assertEqual(sum(line.startswith(("silosum: ", "usage: ")) for line in result.err.splitlines()), 1, str(result))

    def test_unknown_options_of_verbs_suggest_the_nearest(self):
        for verb, option, nearest in (("shard", "--silo", "--silos"), ("predict", "--modle", "--model"), ("evaluate", "--spilt", "--split")):
            result = harness.run([verb, option, "3"])
            self.assertEqual(result.code, 2, str(result))
            self.assertIn(nearest, result.err)


class Bench(harness.EndToEnd):
    def test_flags_that_would_do_nothing_and_folders_that_are_not_there_are_refused(self):
        for flags, word in (
            (["--disturbed"], "goes with --fit only"),
            (["--fit", self.folder / "fit.json", "--phases", "--ring", "64", "--sizes", "1M"], "leave out --phases, --ring\n"),
            (["--seconds", "1", "--chunk-kib", "-5"], "--chunk-kib -5: must not be negative"),
            (["--sizes", "--seconds", "1"], "--sizes needs a value, but --seconds follows"),
            (["--json", ""], '--json "": names no file'),
            (["--silos", "3", "--exchange", "exact", "--cipher", "chacha20"], "--cipher: is of secure sums, and none is timed"),
            (["--seconds", "inf"], "a day at most"),
            (["--ranks-per-node", 2], "there is 1 rank only"),
            (["--json", self.folder / "none" / "x.json"], "make it first"),
        ):
            result = harness.run(["bench", *flags])
            self.assertEqual(result.code, 2, str(result))
            self.assertIn(word, result.err)

    def test_lines_go_to_files_and_no_word_is_wrong(self):
        options = ["--sizes", "4K:64K:x4,1001p", "--ring", "32,64", "--repetitions", "2"]
        result = harness.run(["bench", *options, "--json", "bench.json", "--csv", "bench.csv"], ranks=4, cwd=self.folder)
        self.assertEqual(result.code, 0, str(result))
        self.assertIn("4 ranks on 1 machine", result.out)
        with open(f"{self.folder}/bench.json") as file:
            document = json.load(file)
        self.assertEqual((document["format"], document["version"]), ("silosum-bench", 1))
        lines = document["lines"]
        self.assertEqual(len(lines), 4 * 7)
        self.assertEqual([line["bytes"] for line in lines[::7]], [4096, 16384, 65536, 4004])
        for line in lines:
            self.assertEqual(line.get("wrong_words", 0), 0)
            self.assertEqual(line.get("transport", "").split(",")[0], "shared memory" if "ring_bits" in line else "")
            self.assertAlmostEqual(line["bus_bandwidth"], line["algorithm_bandwidth"] * 2 * 3 / 4)
        with open(f"{self.folder}/bench.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["exchange"] for row in rows], [line["exchange"] for line in lines])
        self.assertEqual({row["valid"] for row in rows}, {"false"}, "two repetitions tell nothing")

    def bench_with_phases(self, ranks, *options):
        result = harness.run(["bench", *options, "--phases", "--json", "bench.json"], ranks=ranks, cwd=self.folder)
        self.assertEqual(result.code, 0, str(result))
        self.assertIn("limits of this machine: memory reads", result.out)
        return result.out, json.loads((self.folder / "bench.json").read_text())

    def assert_shares(self, line, phases):
        self.assertLessEqual(set(phases), set(line["of_limit"]))
        self.assertLessEqual(set(line["of_limit"]), set(line["phases_cpu_s"]))
        for phase, share in line["of_limit"].items():
            self.assertGreater(share, 0, phase)
            self.assertLess(share, 1.5, phase)

    def test_phases_are_told_as_shares_of_what_the_machine_could_do(self):
        for cipher in ("aes128-ctr", "chacha20"):
            out, document = self.bench_with_phases(4, "--exchange", "exact,secure", "--sizes", "256K", "--cipher", cipher, "--repetitions", "6")
            self.assertRegex(out, rf"a core: {cipher} [\d.]+ GB/s")
            self.assertRegex(out, r"of its limit: .* mask \d+ %")
            for rate in ("memory_reads", "memory_writes", "memory_copies", "stream", "hash", "tag", "cached_bytes"):
                self.assertGreater(document["limits"][rate], 0, rate)
            _, exact, secure = document["lines"]
            self.assertNotIn("of_limit", exact, "it may stay in the caches")
            self.assert_shares(secure, ("hash", "mask", "tag", "unmask"))
            self.assertLessEqual(set(secure["of_limit"]), {"hash", "mask", "tag", "unmask"})

    def test_memory_is_a_limit_of_vectors_beyond_the_caches(self):
        _, document = self.bench_with_phases(2, "--exchange", "exact", "--sizes", "4K", "--repetitions", "1")
        size = int(2 * document["limits"]["cached_bytes"])
        if size > 1 << 28:
            self.skipTest(f"vectors of {size} bytes take too long")
        _, document = self.bench_with_phases(2, "--exchange", "exact", "--sizes", str(size), "--repetitions", "6")
        self.assert_shares(document["lines"][1], ("decode", "encode"))

    def test_no_word_is_wrong_on_any_number_of_ranks(self):
        for ranks, transport in ((1, "auto"), (2, "auto"), (3, "messages"), (4, "auto"), (8, "messages"), (16, "auto")):
            options = ["--exchange", "exact,secure", "--sizes", "1003p,10007p", "--part", "5000p", "--silos", "5", "--ring", "32,64"]
            more = ["--transport", transport, "--repetitions", "1", "--json", "bench.json"]
            result = harness.run(["bench", *options, *more], ranks=ranks, cwd=self.folder)
            self.assertEqual(result.code, 0, str(result))
            lines = json.loads((self.folder / "bench.json").read_text())["lines"]
            sums = [line["wrong_words"] for line in lines if "ring_bits" in line]
            self.assertEqual(sums, [0] * 8, f"{ranks} ranks")

    def test_no_word_is_wrong_on_ranks_that_are_taken_as_several_nodes(self):
        for ranks, each in ((4, 2), (5, 3)):
            options = ["--exchange", "exact,secure", "--sizes", "10007p", "--ring", "32,64", "--ranks-per-node", str(each), "--repetitions", "1"]
            result = harness.run(["bench", *options, "--json", "bench.json"], ranks=ranks, cwd=self.folder)
            self.assertEqual(result.code, 0, str(result))
            self.assertIn(f"taken as nodes of {each} ranks at most", result.out)
            lines = json.loads((self.folder / "bench.json").read_text())["lines"]
            self.assertEqual([line["wrong_words"] for line in lines if "ring_bits" in line], [0] * 4)
            self.assertEqual({line["ranks_per_node"] for line in lines}, {each})

    def test_wrong_options_are_told_before_anything_is_timed(self):
        for options, text in (
            (["--sizes", "1M", "--part", "16"], "at most 8191 can be told apart"),
            (["--part", "x"], '--part: "x" must be bytes of float32'),
            (["--sizes", "5Q"], '--sizes: "5Q" must be bytes of float32, as in 64M'),
            (["--sizes", "4M:1M:x2"], "ends below where it begins"),
            (["--sizes", "1M:4M"], "FROM:TO:xFACTOR"),
            (["--exchange", "exakt"], '"exakt"; did you mean "exact"?'),
            (["--exchange", "secure"], "three silos or more"),
            (["--exchange", "nccl-allreduce"], "give --device cuda"),
            (["--ring", "16"], "must be 32 or 64"),
            (["--dropouts", "2"], "from 0 to 0.9"),
            (["--size", "1M"], "--sizes"),
            (["--device", "gpu"], 'unknown --device "gpu"'),
            (["--json", "."], "is no file"),
            (["--ranks-per-node", "-1"], "must be 0 or more"),
            (["--repetitions", "-3"], "must not be negative"),
            (["--repetitions", "0"], "must be from 1 to 4096"),
            (["--json", "same", "--csv", "./same"], "both name same"),
            (["--ranks-per-node", "2", "--transport", "messages"], "leave out --device and --transport messages"),
            (["--ranks-per-node", "2", "--fit", "fit.json"], "leave out --ranks-per-node"),
        ):
            result = harness.run(["bench", *options], ranks=2, cwd=self.folder)
            self.assertEqual(result.code, 2, str(result))
            self.assertIn(text, result.err)

    def test_a_vector_without_room_is_left_out(self):
        result = harness.run(["bench", "--sizes", "900G,1K", "--repetitions", "1"], cwd=self.folder)
        self.assertEqual(result.code, 0, str(result))
        self.assertRegex(result.out, r"left out: needs some \S+ GiB a rank, where \S+ GiB are free")

    def test_flags_of_secure_sums_are_taken_where_ranks_are_too_few_for_any(self):
        for flags in (["--cipher", "chacha20", "--graph", "complete"], ["--exchange", "exact", "--phases", "--cipher", "chacha20"]):
            result = harness.run(["bench", "--sizes", "4K", "--repetitions", "1", *flags])
            self.assertEqual(result.code, 0, str(result))

    def test_a_sweep_of_which_nothing_was_timed_fails(self):
        result = harness.run(["bench", "--sizes", "900G", "--repetitions", "1"], ranks=2, cwd=self.folder)
        self.assertEqual(result.code, 4, str(result))
        self.assertIn("nothing that was asked for was timed: left out: needs some", result.err)

    def test_files_that_cannot_be_written_are_refused_before_anything_is_timed(self):
        result = harness.run(["bench", "--json", "/proc/bench.json"], cwd=self.folder)
        self.assertEqual(result.code, 4, str(result))
        self.assertIn("--json /proc/bench.json: cannot be written", result.err)
        self.assertEqual(result.out, "")

    def test_a_refused_call_leaves_files_as_they_are(self):
        (self.folder / "old.csv").write_text("exchange,ring_bits,bytes,\n")
        for flags, code in ((["--json", "new.json", "--disturbed"], 2), (["--csv", "old.csv", "--json", "/proc/bench.json"], 4)):
            result = harness.run(["bench", *flags], cwd=self.folder)
            self.assertEqual(result.code, code, str(result))
            self.assertEqual([file.name for file in self.folder.iterdir()], ["old.csv"])
        self.assertEqual((self.folder / "old.csv").read_text(), "exchange,ring_bits,bytes,\n")


class Journeys(harness.EndToEnd):
    def verb(self, *arguments, code=0):
        result = harness.run(arguments)
        self.assertEqual(result.code, code, str(result))
        return result

    def from_table_to_predictions(self, task, model, lr):
        """shard, inspect, plan, train, evaluate, predict and export; returns (overall test metrics, predictions)."""
        write_patients(self.folder / "patients.csv", 400, task)
        shards = self.folder / "shards"
        words = ["shard", "--from", f"csv:{self.folder / 'patients.csv'}", "--label", "outcome", "--split", "by:hospital", "--missing", "mean", "--out", shards,
                 "--validation-fraction", "0.1", "--test-fraction", "0.2", "--task", task]
        made = self.verb(*words, *(["--positive", "dead"] if task == "binary" else []))
        self.assertIn("wrote 4 shards", made.out)
        self.assertIn("missing values", made.out)
        shown = self.verb("inspect", shards)
        self.assertIn("ward=east", shown.out)
        self.assertEqual(shown.out.count("checks       good"), 4)
        config = self.write_config(CONFIG.format(model=model, lr=lr))
        planned = self.verb("plan", config, "--ranks", "2")
        self.assertIn("4 silos on 2 ranks", planned.out)

        self.train(config, 2)
        summary = self.summary()
        self.assertIn(f"{summary['parameters']} parameters", planned.out)
        model_file = self.folder / "run" / "model.h5"
        files = sorted(shards.glob("*.h5"))
        measured = json.loads(self.verb("evaluate", "--json", "--model", model_file, "--data", *files).out)
        self.assertEqual(measured["model_sha256"], summary["model_sha256"])
        self.assertEqual(measured["round"], 12)
        for metric, value in summary["test"].items():
            if value is None:
                self.assertIsNone(measured["overall"][metric], metric)
            else:
                self.assertAlmostEqual(measured["overall"][metric], value, delta=1e-9 * max(1, abs(value)), msg=metric)
        self.verb("evaluate", "--model", model_file, "--data", *files)

        out = self.folder / "predictions.csv"
        self.verb("predict", "--model", model_file, "--data", files[0], "--split", "test", "--out", out)
        with open(out, newline="") as file:
            predictions = list(csv.DictReader(file))
        self.assertEqual(len(predictions), measured["shards"][0]["rows"])
        self.check_export(model_file)
        return summary["test"], measured["shards"][0], predictions

    def check_export(self, model_file):
        out = self.folder / "model.safetensors"
        self.verb("export", "--format", "safetensors", "--model", model_file, "--out", out)
        data = out.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        self.assertEqual(header["__metadata__"]["model_sha256"], self.sha())
        numbers = sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        self.assertEqual(numbers, self.summary()["parameters"])
        # The exported file starts a run where this one ended: its first round begins from the same parameters as one from model.h5.
        shas = set()
        for start in (out, model_file):
            self.train(self.folder / "test.cfg", 2, f"from-{start.name}", ["--run.warm_start", start, "--run.rounds", "1"])
            shas.add(self.sha(f"from-{start.name}"))
        self.assertEqual(len(shas), 1)
        self.assertNotIn(self.sha(), shas)

    def test_new_shards_that_fail_leave_the_old_ones(self):
        """A limit on the size of files stands for a full disk: the second shard does not fit."""
        table, out = self.folder / "table.csv", self.folder / "shards"
        table.write_text("a,label,site\n" + "".join(f"{row / 7},{'uv'[row % 2]},{site}\n" for site, rows in (("x", 20), ("y", 9000)) for row in range(rows)))
        words = ["shard", "--from", f"csv:{table}", "--label", "label", "--split", "by:site", "--out", out]
        self.verb(*words)
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        again = harness.command([*words, "--force", "--seed", 9])
        limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 60; exec "$@"', "sh", *again]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assertEqual({path.name: path.read_bytes() for path in out.iterdir()}, before)

    def test_outputs_replace_nothing_but_earlier_outputs(self):
        shards = self.image_shards(2, rows=100)
        config = self.write_config(CONFIG.format(model="softmax", lr=0.1).replace("standardise = federated", "").replace("rounds = 12", "rounds = 1"))
        self.train(config, 1)
        model, shard = self.folder / "run" / "model.h5", shards / "silo-000.h5"
        table = self.folder / "table.csv"
        table.write_text("age,label\n1,2\n")
        linked = self.folder / "model.safetensors"
        linked.symlink_to(model)
        before = [path.read_bytes() for path in (model, shard, table)]
        for out, words in ((model, "is the file that --model names"), (shard, "is the file that --data names"), (shards / "silo-001.h5", "holds a shard"), (table, "holds something else")):
            self.assertIn(words, self.verb("predict", "--model", model, "--data", shard, "--out", out, code=2).err)
        for out, words in ((linked, "is the file that --model names"), (config, "must end with .safetensors"), ("/dev/null", "must end with .safetensors")):
            self.assertIn(words, self.verb("export", "--model", model, "--out", out, code=2).err)
        self.assertIn("is no file", self.verb("predict", "--model", model, "--data", shard, "--out", self.special("a.csv"), code=2).err)
        self.assertEqual([path.read_bytes() for path in (model, shard, table)], before)
        linked.unlink()
        for _ in range(2):
            self.verb("export", "--model", model, "--out", linked)
            self.verb("predict", "--model", model, "--data", shard, "--out", self.folder / "p.csv")
            self.verb("predict", "--model", model, "--data", shard, "--out", self.folder / "p.h5")

    def special(self, name):
        """No regular file: what stands in its place would be gone."""
        os.mkfifo(self.folder / name)
        return self.folder / name

    def test_output_that_cannot_be_printed_is_an_error(self):
        shards = self.image_shards(2, rows=100)
        with open("/dev/full", "w") as full:
            done = subprocess.run(harness.command(["inspect", shards]), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("standard output cannot be written: No space left on device", done.stderr)

    def test_a_table_with_two_classes(self):
        test, shard, predictions = self.from_table_to_predictions("binary", "linear", 0.1)
        self.assertGreater(test["accuracy"], 0.85)
        self.assertGreater(test["auc"], 0.9)
        right = sum(row["prediction"] == row["label"] for row in predictions)
        self.assertAlmostEqual(right / len(predictions), shard["accuracy"], delta=1e-9)

    def test_a_table_with_numbers_as_labels(self):
        test, shard, predictions = self.from_table_to_predictions("regression", "mlp", 0.01)
        self.assertGreater(test["r2"], 0.8)
        squares = sum((float(row["prediction"]) - float(row["target"])) ** 2 for row in predictions)
        self.assertAlmostEqual(math.sqrt(squares / len(predictions)), shard["rmse"], delta=1e-4 * shard["rmse"])

    def test_images(self):
        shards = self.image_shards(4, rows=600, split="labels:2")
        config = self.write_config(CONFIG.format(model="cnn", lr=0.05).replace("standardise = federated", "").replace("rounds = 12", "rounds = 3"))
        result = self.verb("plan", config)
        self.assertIn("4 silos on 4 ranks", result.out)
        self.train(config, 2, flags=["--eval.common_test", shards / "test.h5"])
        self.assertGreater(self.summary()["common_test"]["accuracy"], 0.5)
        model = self.folder / "run" / "model.h5"
        measured = json.loads(self.verb("evaluate", "--json", "--model", model, "--data", shards / "test.h5").out)
        self.assertEqual(len(json.loads(self.verb("evaluate", "--json", "--model", model, "--data", shards).out)["shards"]), 4)
        self.assertAlmostEqual(measured["overall"]["accuracy"], self.summary()["common_test"]["accuracy"], delta=1e-12)
        out = self.folder / "predictions.csv"
        self.verb("predict", "--model", model, "--data", shards / "test.h5", "--out", out)
        self.assertEqual(len(out.read_text().splitlines()), 41)

    def test_models_and_shards_that_do_not_fit(self):
        self.image_shards(2, rows=100)
        self.train(self.write_config(CONFIG.format(model="softmax", lr=0.1).replace("standardise = federated", "").replace("rounds = 12", "rounds = 1")), 1)
        model = self.folder / "run" / "model.h5"
        penguins = harness.ROOT / "configs" / "data" / "penguins" / "silo-Dream.h5"
        for verb in ("evaluate", "predict"):
            result = self.verb(verb, "--model", model, "--data", penguins, *(["--out", self.folder / "out.csv"] if verb == "predict" else []), code=3)
            self.assertIn(str(penguins), result.err)
            self.assertIn(str(model), result.err)
            result = self.verb(verb, "--model", self.folder / "none.h5", "--data", penguins, *(["--out", self.folder / "out.csv"] if verb == "predict" else []), code=3)
            self.assertIn("none.h5", result.err)
        model.write_bytes(model.read_bytes()[:-200])
        self.assertIn("cut or", self.verb("evaluate", "--model", model, "--data", penguins, code=3).err)
        self.assertIn("did you mean", self.verb("export", "--format", "safetensor", "--model", model, "--out", self.folder / "x", code=2).err)


class Plan(harness.EndToEnd):
    def test_the_memory_of_a_rank_is_foretold(self):
        self.image_shards(4, rows=200)
        config = self.write_config("[data]\nshards = shards\n[model]\nname = mlp\nwidths = 2000, 2000\n[local]\nbatch_size = 10\n[run]\nrounds = 2\n[eval]\nevery = 0\n")
        for ranks in (2, 4):
            for extra in ((), ("--exchange.ring_bits", "64"), ("--local.momentum", "0.9", "--local.state", "keep"), ("--local.ranks_per_silo", "2")):
                self.train(config, ranks, flags=[*extra, "--run.overwrite"])
                planned = harness.run(["plan", config, "--ranks", ranks, *extra])
                self.assertEqual(planned.code, 0, str(planned))
                foretold = int(planned.out.rsplit("(", 1)[1].split(" bytes")[0])
                measured = self.summary()["peak_rank_bytes"]
                # How much a rank sees of what others share depends on whom it helps.
                seen = sum(float(mib) for mib in re.findall(r"of other ranks, shared +([0-9.]+) MiB", planned.out)) * 2**20
                told = f"{ranks} ranks {extra}: foretold {foretold / 2**20:.0f} MiB, measured {measured / 2**20:.0f} MiB\n{planned.out}"
                self.assertEqual(seen > 0, ranks == 4 and "--local.ranks_per_silo" not in extra, told)
                self.assertLess(measured, 1.15 * foretold, told)
                self.assertGreater(measured, 0.85 * (foretold - seen), told)

    def test_it_refuses_what_train_refuses(self):
        self.image_shards(2, rows=60)
        config = self.write_config("[data]\nshards = shards\n[model]\nname = softmax\n")
        for flags, code, word in (
            (["--selection.silos_per_round", "3"], 2, "only 2 silos"),
            (["--local.lrr", "3"], 2, "local.lr"),
            (["--data.shards", self.folder / "none"], 3, "none"),
            (["--exchange.max_weight", "3"], 2, "exchange.max_weight"),
            (["--eval.patience", "3"], 2, "validation rows"),
            (["--eval.target_metric", "rmse", "--eval.target", "1"], 2, "rmse"),
            (["--data.class_weights", "1,2"], 2, "class_weights"),
            (["--run.warm_start", self.folder / "none.h5"], 3, "none.h5"),
            (["--ranks", "0"], 2, "--ranks 0"),
            (["--data.silos", "3"], 3, "set data.silos = 2"),
            (["--exchange.secure", "true", "--exchange.identities", "throwaway", "--exchange.weights", "uniform", "--eval.compare_local", "true"], 2, "eval.compare_local"),
            (["--exchange.transport", "nccl", "--run.device", "cpu"], 2, "run.device = cuda"),
            (["--run.on_dead_rank", "continue", "--local.state", "keep", "--local.momentum", "0.9"], 2, "run.on_dead_rank = continue"),
        ):
            result = harness.run(["plan", config, *flags])
            self.assertEqual(result.code, code, f"{flags} {result}")
            self.assertIn(word, result.err)


if __name__ == "__main__":
    unittest.main()
