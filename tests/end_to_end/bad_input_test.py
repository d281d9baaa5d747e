"""What users get wrong: one clear message on standard error, the right exit code from mpirun, no hang, nothing lost."""

import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import unittest

import harness

USAGE, DATA, RUNTIME = 2, 3, 4
NOBODY = 65534

CONFIG = """
[run]
rounds = 2
[data]
shards = shards
[model]
name = softmax
[local]
batch_size = 8
lr = 0.1
"""


def first_feature(row):
    return row + 0.37


def write_table(path, columns=("a", "b", "c"), rows=120, seed=1, task="class", labels=("well", "ill")):
    """Rows of three sites; the first feature is first_feature(row), so that its bytes are easy to find in a shard."""
    draw = random.Random(seed)
    lines = [",".join((*columns, "label", "site"))]
    for row in range(rows):
        label = draw.randrange(2)
        features = [f"{first_feature(row)}", *(f"{draw.gauss(label, 1):.3f}" for _ in columns[1:])]
        target = labels[label] if task == "class" else f"{label + 0.1 * draw.random():.4f}"
        lines.append(",".join((*features, target, "xyz"[row % 3])))
    path.write_text("\n".join(lines) + "\n")


def replace_bytes(path, old, new, count=None):
    """Changes a file in place; HDF5 of the oldest format, which the shards use, has no checksums that would notice."""
    data = path.read_bytes()
    found = data.count(old)
    if found == 0 or (count is not None and found != count) or len(old) != len(new):
        raise AssertionError(f"{path}: {old!r} stands there {found} times")
    path.write_bytes(data.replace(old, new))


def integer_attribute(path, name):
    """Where the value of a 64-bit attribute is: behind its name (padded to 8 bytes), its type (16) and its shape (8)."""
    start = path.read_bytes().index(name.encode() + b"\0")
    return start + (len(name) + 8) // 8 * 8 + 16 + 8


class BadInput(harness.EndToEnd):
    """Each test starts from three good shards of its own in shards/ and a configuration that trains on them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.good = harness.pathlib.Path(harness.tempfile.mkdtemp(prefix="silosum-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.good, ignore_errors=True)
        write_table(cls.good / "table.csv")
        cls.make_shards(cls.good / "table.csv", cls.good / "shards")

    @classmethod
    def make_shards(cls, table, out, *flags):
        result = harness.run(["shard", "--from", f"csv:{table}", "--label", "label", "--split", "by:site", "--out", out, *flags])
        assert result.code == 0, str(result)

    def setUp(self):
        super().setUp()
        shutil.copytree(self.good / "shards", self.folder / "shards")
        self.config = self.write_config(CONFIG)

    def refused(self, code, *words, flags=(), config=None, ranks=(1, 3), verb="train", lines=1, user=None):
        """The job ends with this code and says one thing once: all the words, in `lines` lines of ours."""
        for count in ranks:
            arguments = [verb, config or self.config, *(() if "--run.dir" in map(str, flags) else ("--run.dir", self.folder / "run")), *flags]
            result = harness.run(arguments, count, timeout=60, user=user)
            with self.subTest(ranks=count):
                self.assertEqual(result.code, code, str(result))
                self.assertEqual(result.err.count("silosum: "), 1, str(result))
                self.assertNotIn("MPI_ABORT", result.err + result.out)
                message = result.err[result.err.index("silosum: ") :].split("\n-----")[0].strip()
                self.assertEqual(len(message.splitlines()), lines, str(result))
                for word in words:
                    self.assertIn(str(word), message)
        return result

    def shard(self, site):
        return self.folder / "shards" / f"silo-{site}.h5"


class BadShards(BadInput):
    def test_the_case_that_all_others_break_trains(self):
        self.train(self.config, 3)

    def test_a_shard_that_is_missing_on_one_rank(self):
        names = ", ".join(str(self.shard(site)) for site in "xyz")
        self.shard("z").unlink()
        self.refused(DATA, "data.shards", self.shard("z"), "silosum shard", flags=["--data.shards", names])

    def test_a_link_to_nowhere_in_the_folder(self):
        self.shard("y").unlink()
        self.shard("y").symlink_to(self.folder / "not-mounted" / "silo-y.h5")
        self.refused(DATA, self.shard("y"), "no file")

    def test_a_shard_that_one_rank_may_not_read(self):
        user = NOBODY if os.geteuid() == 0 else None  # permissions do not bind the first user
        if user is not None:
            self.need_reach_of(user)
            for place in (self.folder, *self.folder.rglob("*")):
                os.chown(place, user, user)
        self.shard("y").chmod(0)
        self.refused(DATA, self.shard("y"), "denied", user=user)

    def test_a_folder_among_the_shards(self):
        (self.folder / "silo-q.h5").mkdir()
        (self.folder / "silo-q.h5" / "notes.txt").write_text("")
        names = f"{self.shard('x')}, {self.folder / 'silo-q.h5'}"
        self.refused(DATA, self.folder / "silo-q.h5", "without shards", flags=["--data.shards", names])

    def test_a_truncated_shard(self):
        whole = self.shard("y").read_bytes()
        for share in (0.0, 0.3, 0.95):
            self.shard("y").write_bytes(whole[: int(len(whole) * share)])
            self.refused(DATA, self.shard("y"), "cut or not an HDF5 file", ranks=(3,))

    def test_a_shard_that_is_no_hdf5_file(self):
        self.shard("y").write_text("a,b,c\n1,2,3\n" * 100)
        self.refused(DATA, self.shard("y"), "not an HDF5 file")

    def test_an_hdf5_file_of_another_format(self):
        replace_bytes(self.shard("z"), b"silosum-shard", b"another-shard")
        self.refused(DATA, self.shard("z"), "another-shard", "silosum-shard")

    def test_a_newer_version(self):
        at = integer_attribute(self.shard("z"), "version")
        data = bytearray(self.shard("z").read_bytes())
        self.assertEqual(struct.unpack_from("<q", data, at), (1,))
        struct.pack_into("<q", data, at, 7)
        self.shard("z").write_bytes(data)
        self.refused(DATA, self.shard("z"), "version 7", "newer silosum")

    def test_a_label_outside_of_its_range(self):
        for label in (2, -1):
            shutil.copy(self.good / "shards" / "silo-y.h5", self.shard("y"))
            data = bytearray(self.shard("y").read_bytes())
            labels = max(re.finditer(rb"(?:[\x00\x01]\x00{7}){20,}", data), key=lambda found: found.group().count(1))
            struct.pack_into("<q", data, labels.start() + labels.group().rindex(1), label)
            self.shard("y").write_bytes(data)
            self.refused(DATA, self.shard("y"), f"label {label} in row", "from 0 to 1", ranks=(3,))

    def test_nan_and_infinity_in_features(self):
        for value in (float("nan"), float("inf")):
            shutil.copy(self.good / "shards" / "silo-x.h5", self.shard("x"))
            data = self.shard("x").read_bytes()
            feature = next(feature for feature in (struct.pack("<f", first_feature(row)) for row in range(0, 120, 3)) if feature in data)
            replace_bytes(self.shard("x"), feature, struct.pack("<f", value), count=1)
            self.refused(DATA, self.shard("x"), str(value), 'column 0 ("a")', "finite", ranks=(3,))

    def test_silos_with_features_of_different_shapes(self):
        write_table(self.folder / "wide.csv", columns=("a", "b", "c", "d"))
        self.make_shards(self.folder / "wide.csv", self.folder / "wide")
        shutil.copy(self.folder / "wide" / "silo-z.h5", self.shard("z"))
        self.refused(DATA, "do not fit together", self.shard("x"), "3 features", self.shard("z"), "4 features")

    def test_silos_with_other_columns_or_classes(self):
        for name, table in (("features", {"columns": ("a", "B", "c")}), ("classes", {"labels": ("well", "sick")})):
            write_table(self.folder / f"{name}.csv", **table)
            self.make_shards(self.folder / f"{name}.csv", self.folder / name)
            shutil.copy(self.folder / name / "silo-z.h5", self.shard("z"))
            self.refused(DATA, f"other names of {name}", self.shard("z"), "B" if name == "features" else "sick", ranks=(3,))

    def test_silos_with_different_tasks(self):
        write_table(self.folder / "other.csv", task="regression")
        self.make_shards(self.folder / "other.csv", self.folder / "other", "--task", "regression")
        shutil.copy(self.folder / "other" / "silo-z.h5", self.shard("z"))
        self.refused(DATA, "do not fit together", "regression", "classification", ranks=(3,))

    def test_an_empty_train_set(self):
        # The shape of x stands in the file as (rows, 3) and, as the largest it may become, once more.
        shapes = re.finditer(rb"(.{8})\x03\x00{7}\1\x03\x00{7}", self.shard("y").read_bytes(), re.S)
        train = max(int.from_bytes(shape.group(1), "little") for shape in shapes)
        for shape in (struct.pack("<4Q", train, 3, train, 3), struct.pack("<2Q", train, train)):
            replace_bytes(self.shard("y"), shape, shape.replace(struct.pack("<Q", train), bytes(8)))
        self.refused(DATA, self.shard("y"), "train set is empty")

    def test_two_shards_of_one_silo(self):
        shutil.copy(self.shard("x"), self.folder / "shards" / "silo-w.h5")
        self.refused(DATA, 'silo "x"', self.folder / "shards" / "silo-w.h5", self.shard("x"), "different names")

    def test_one_shard_named_twice(self):
        self.refused(DATA, "named twice", self.shard("x"), flags=["--data.shards", f"{self.shard('x')}, {self.folder / 'shards'}"], ranks=(3,))

    def test_an_empty_or_missing_folder_of_shards(self):
        (self.folder / "empty").mkdir()
        self.refused(DATA, "data.shards", self.folder / "empty", "without shards", flags=["--data.shards", self.folder / "empty"])
        self.refused(DATA, "data.shards", self.folder / "nowhere", flags=["--data.shards", self.folder / "nowhere"])
        self.refused(DATA, "data.shards", "matches no file", flags=["--data.shards", self.folder / "nothing-*.h5"], ranks=(3,))

    def test_a_common_test_of_another_shape_or_with_other_names(self):
        write_table(self.folder / "wide.csv", columns=("a", "b", "c", "d"))
        self.make_shards(self.folder / "wide.csv", self.folder / "wide")
        test = self.folder / "wide" / "silo-x.h5"
        self.refused(DATA, "eval.common_test", test, "3 features", "4 features", flags=["--eval.common_test", test])
        write_table(self.folder / "other.csv", labels=("alive", "dead"))
        self.make_shards(self.folder / "other.csv", self.folder / "other")
        test = self.folder / "other" / "silo-x.h5"
        self.refused(DATA, "eval.common_test", test, "other names of classes", flags=["--eval.common_test", test])

    def test_shards_made_by_h5py(self):
        """What only other programs write: floats as labels, a missing dataset, rows that do not match, a shard without rows."""
        python = next((p for p in (sys.executable, "/usr/bin/python3") if has_h5py(p)), None)
        if python is None:
            self.skipTest("no Python with h5py")
        cases = {
            "del f['train/y']": ("no dataset", "y"),
            "del f['train']": ("no group", "train"),
            "del f['train/y']; f['train/y'] = [0] * 5": ("5 in y",),
            "y = f['train/y'][:] + 0.5; del f['train/y']; f['train/y'] = y": ("whole numbers",),
            "del f['train/x']; f['train/x'] = [b'a'] * len(f['train/y'])": ("train/x",),
            "del f['train/x'], f['train/y']; f.create_dataset('train/x', (0, 3)); f.create_dataset('train/y', (0,))": ("train set is empty",),
            "del f.attrs['task']": ("task",),
            "f.attrs['task'] = 'binery'": ("binery", "binary"),
            "f.attrs['classes'] = 1": ("classes = 1",),
        }
        for change, words in cases.items():
            shutil.copy(self.good / "shards" / "silo-y.h5", self.shard("y"))
            script = f"import h5py, sys\nwith h5py.File(sys.argv[1], 'r+') as f:\n  {change}\n"
            subprocess.run([python, "-c", script, str(self.shard("y"))], check=True, timeout=60)
            self.refused(DATA, self.shard("y"), *words, ranks=(2,))


def has_h5py(python):
    try:
        return subprocess.run([python, "-c", "import h5py"], capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


class BadConfiguration(BadInput):
    def test_all_wrong_keys_are_listed_at_once(self):
        config = self.write_config(
            CONFIG.replace("lr = 0.1", "lr = 0.1\nlr = 0.2\nlearning_rat = 1\nepoch = 3\nmomentum = 1.5\noptimizer = sdg\nbatch_size = many")
            + "[trainer]\nthreads = 4\n[galaxy]\ncolour = blue\n",
            "wrong.cfg",
        )
        self.refused(
            USAGE,
            "problems in the configuration", config,
            "local.lr: given more than once",
            'unknown key "local.learning_rat"',
            'unknown key "local.epoch"; did you mean "local.epochs"?',
            "local.momentum = 1.5: must be in range [0, 1)",
            'unknown value "sdg"; did you mean "sgd"?',
            "local.batch_size: given more than once",
            'unknown key "trainer.threads"; did you mean "run.threads"?',
            'unknown key "galaxy.colour"; `silosum train --help` lists the known ones',
            'unknown key "exchange.rang_bits"; did you mean "exchange.ring_bits"?',
            "--local.epochs: given more than once",
            config=config,
            flags=["--exchange.rang_bits", "32", "--local.epochs", "2", "--local.epochs", "3"],
            lines=11,
        )

    def test_values_of_the_wrong_kind(self):
        flags = ["--local.lr", "fast", "--run.rounds", "2.5", "--run.seed", "-1", "--eval.compare_local", "maybe", "--exchange.ring_bits", "48"]
        self.refused(USAGE, 'local.lr = "fast": must be a number', 'run.rounds = "2.5"', "run.seed", "compare_local", flags=flags, lines=5, ranks=(3,))
        self.refused(USAGE, "exchange.ring_bits = 48: must be 32 or 64", flags=["--exchange.ring_bits", "48"], lines=2, ranks=(3,))

    def test_keys_that_the_chosen_parts_do_not_use(self):
        flags = ["--local.beta1", "0.8", "--model.widths", "10", "--eval.target_metric", "loss"]
        self.refused(
            USAGE, "local.beta1 is not used with local.optimizer = sgd; remove it", "model.widths is not used with model.name = softmax",
            "eval.target_metric is not used with eval.target = 0", flags=flags, lines=4,
        )

    def test_a_configuration_that_is_missing_or_a_folder(self):
        self.refused(USAGE, self.folder / "no.cfg", "No such file", config=self.folder / "no.cfg")
        self.refused(USAGE, self.folder, "it is a folder", config=self.folder)

    def test_no_shards_are_named(self):
        config = self.write_config("[run]\nrounds = 1\n", "none.cfg")
        self.refused(USAGE, "data.shards", "must name at least one", config=config, lines=2, ranks=(3,))

    def test_words_that_are_no_flags(self):
        self.refused(USAGE, 'unexpected argument "rounds"', flags=["rounds", "3"], lines=3, ranks=(3,))
        self.refused(USAGE, "--run.rounds needs a value", flags=["--run.rounds"], lines=2, ranks=(3,))
        self.refused(USAGE, "the configuration file comes first", config="--run.rounds", ranks=(1,), flags=["--run.dir", "x"])

    def test_a_value_that_a_configuration_cannot_hold(self):
        self.refused(USAGE, "run.dir", "must hold no #", flags=["--run.dir", self.folder / "run#1"], lines=2, ranks=(3,))
        self.assertFalse((self.folder / "run").exists())

    def test_more_silos_a_round_than_there_are(self):
        self.refused(USAGE, "selection.silos_per_round = 4", "only 3 silos", flags=["--selection.silos_per_round", "4"])

    def test_metrics_that_do_not_fit_the_task(self):
        flags = ["--eval.target", "0.9", "--eval.target_metric", "rmse"]
        self.refused(USAGE, "eval.target_metric = rmse", "classification", "accuracy", flags=flags)
        self.refused(USAGE, "eval.best_metric = r2", "classification", flags=["--eval.best_metric", "r2"], ranks=(3,))

    def test_patience_without_validation_rows(self):
        self.refused(USAGE, "eval.patience = 3", "no silo has validation rows", "--validation-fraction", flags=["--eval.patience", "3"])

    def test_rules_to_stop_without_measurements(self):
        flags = ["--eval.patience", "3", "--eval.target", "0.5", "--eval.every", "0"]
        self.refused(USAGE, "eval.target = 0.5", "eval.patience = 3", "eval.every", flags=flags, lines=3, ranks=(3,))

    def test_class_weights_that_do_not_fit(self):
        self.refused(USAGE, "data.class_weights", "3 weights for 2 classes", flags=["--data.class_weights", "1,2,3"], ranks=(3,))

    def test_layers_that_do_not_fit_the_features(self):
        self.refused(USAGE, "conv", flags=["--model.name", "layers", "--model.layers", "conv 3 3, dense outputs"])
        self.refused(USAGE, "model.name = cnn", "image", flags=["--model.name", "cnn"], ranks=(3,))


class BadPlaces(BadInput):
    def test_a_run_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        for place in (self.folder / "file" / "run", "/proc/silosum-run", self.folder / "file"):
            self.refused(RUNTIME, "run folder", place, "--run.dir", flags=["--run.dir", place])

    def test_a_run_folder_that_cannot_be_written(self):
        place = "/proc/self" if os.geteuid() == 0 else self.folder / "closed"
        if os.geteuid() != 0:
            place.mkdir(mode=0o500)
        self.refused(RUNTIME, place, flags=["--run.dir", place], ranks=(3,))

    def test_a_run_folder_with_files_of_the_user(self):
        """A configuration that lies in the folder of its run, and a model from elsewhere: neither is overwritten."""
        place = self.folder / "experiment"
        place.mkdir()
        own = place / "config.cfg"
        own.write_text("# mine\n" + self.config.read_text().replace("= shards", f"= {self.folder / 'shards'}"))
        for way in ([], ["--run.resume", "auto"], ["--run.overwrite", "true"]):
            self.refused(USAGE, own, "not from a run of silosum", "--run.dir", config=own, flags=["--run.dir", place, *way], ranks=(2,))
        self.assertTrue(own.read_text().startswith("# mine\n"))
        own.unlink()
        (place / "model.h5").write_text("precious")
        self.refused(USAGE, place / "model.h5", "not from a run of silosum", flags=["--run.dir", place, "--run.overwrite", "true"], ranks=(2,))
        self.assertEqual((place / "model.h5").read_text(), "precious")

    def test_a_run_folder_among_the_shards(self):
        self.refused(USAGE, self.folder / "shards", "is the folder of the shards", flags=["--run.dir", self.folder / "shards"])

    @unittest.skipIf(os.geteuid() != 0, "needs another user's folder")
    def test_a_run_folder_that_belongs_to_somebody_else(self):
        self.need_reach_of("nobody")
        self.folder.chmod(0o755)
        place = self.folder / "closed"
        place.mkdir(mode=0o555)
        self.refused(RUNTIME, place, "Permission denied", flags=["--run.dir", place], user="nobody", ranks=(1,))

    def test_a_run_folder_that_another_job_uses(self):
        flags = ["--run.dir", self.folder / "run", "--run.rounds", "100000", "--run.progress", "none", "--checkpoint.every", "0"]
        first = harness.start(["train", self.config, *flags], 2)
        try:
            harness.wait_until(lambda: (self.folder / "run" / "metrics.jsonl").exists(), what="the first job trains")
            for way in (["--run.resume", "auto"], ["--run.overwrite", "true"], []):
                self.refused(USAGE, self.folder / "run", "is in use by process", ranks=(2,), flags=[*flags, *way])
        finally:
            for pid in harness.rank_pids(first.pid):
                os.kill(pid, signal.SIGKILL)
            harness.finish(first)
        self.train(self.config, 2, "run", ["--run.overwrite", "true"])

    def test_a_run_folder_that_holds_a_run(self):
        self.train(self.config, 2)
        before = sorted((p, p.stat().st_mtime_ns) for p in (self.folder / "run").rglob("*") if p.name != ".lock")
        self.refused(USAGE, "holds an earlier run", "--run.dir", "--run.resume auto", "--run.overwrite true")
        self.assertEqual(sorted((p, p.stat().st_mtime_ns) for p in (self.folder / "run").rglob("*") if p.name != ".lock"), before)
        self.train(self.config, 2, flags=["--run.overwrite", "true", "--local.lr", "0.2"])
        self.train(self.config, 2, flags=["--run.overwrite"])
        self.assertEqual(len(self.metrics()), 2)

    def test_a_start_that_fails_does_not_overwrite_the_earlier_run(self):
        self.train(self.config, 2)
        sha = self.sha()
        self.refused(DATA, "nowhere", flags=["--run.overwrite", "--data.shards", self.folder / "nowhere"], ranks=(2,))
        self.refused(USAGE, "eval.best_metric", flags=["--run.overwrite", "--eval.best_metric", "r2"], ranks=(2,))
        self.assertEqual(self.sha(), sha)
        self.assertEqual(self.train(self.config, 2, flags=["--run.resume", "auto"]).out.count("nothing left"), 1)

    def test_more_ranks_than_silos_says_so(self):
        self.assertIn("1 rank without a silo", self.train(self.config, 4).out)
        self.assertIn("2 ranks without a silo", self.train(self.config, 5, "five").out)
        self.assertNotIn("without a silo", self.train(self.config, 3, "three").out)


class BadModels(BadInput):
    def test_a_warm_start_from_another_model(self):
        self.train(self.config, 2, "other", ["--model.name", "mlp", "--model.widths", "5"])
        model = self.folder / "other" / "model.h5"
        exported = self.folder / "other.safetensors"
        result = harness.run(["export", "--format", "safetensors", "--model", model, "--out", exported])
        self.assertEqual(result.code, 0, str(result))
        for file in (model, exported):
            self.refused(DATA, "run.warm_start", file, "another model", "0.weight", flags=["--run.warm_start", file], lines=5)

    def test_a_warm_start_from_what_is_no_model(self):
        (self.folder / "cut.safetensors").write_bytes(b"\x10")
        (self.folder / "text.pt").write_text("")
        self.refused(DATA, "run.warm_start", "no.h5", flags=["--run.warm_start", self.folder / "no.h5"])
        self.refused(DATA, "run.warm_start", "silo-x.h5", "not a model", flags=["--run.warm_start", self.shard("x")], ranks=(3,))
        self.refused(DATA, "run.warm_start", "cut.safetensors", flags=["--run.warm_start", self.folder / "cut.safetensors"], ranks=(3,))
        self.refused(DATA, "run.warm_start", "text.pt", ".safetensors", flags=["--run.warm_start", self.folder / "text.pt"], ranks=(3,))

    def diverged(self, name, ranks, *flags):
        """The round in which it stopped, whose predecessors are all recorded and saved."""
        flags = [*flags, "--run.rounds", "500", "--checkpoint.every", "1", "--run.dir", self.folder / name]
        result = self.refused(RUNTIME, "round ", 'silo "', "diverged", "local.lr", flags=flags, ranks=(ranks,))
        stopped = int(re.search(r"round (\d+)", result.err).group(1))
        self.assertEqual([line["round"] for line in self.metrics(name)], list(range(1, stopped)))
        if stopped == 1:
            self.assertIn("no checkpoint was saved", result.err)
        else:
            last = self.folder / name / "checkpoints" / f"round-{stopped - 1:06d}"
            self.assertIn(f"the last good checkpoint is {last}", result.err)
            self.assertTrue((last / "manifest.json").exists())
        return stopped

    def test_divergence_stops_all_ranks_and_keeps_the_last_checkpoint(self):
        """Linear regression on features of up to 120 diverges soon after the rate, which rises from round to round, passes 1e-4."""
        write_table(self.folder / "numbers.csv", task="regression")
        self.make_shards(self.folder / "numbers.csv", self.folder / "numbers", "--task", "regression")
        rising = ["--data.shards", self.folder / "numbers", "--model.name", "linear", "--local.lr", "1", "--local.warmup_rounds", "30000",
                  "--exchange.range", "agreed"]
        rounds = {self.diverged(f"run-{ranks}", ranks, *rising) for ranks in (1, 3)}
        self.assertEqual(len(rounds), 1)
        self.assertGreater(rounds.pop(), 1)

    def test_divergence_in_the_first_round_says_that_nothing_was_saved(self):
        flags = ["--local.lr", "1000", "--model.name", "mlp", "--model.widths", "8,8", "--local.epochs", "3", "--exchange.range", "agreed"]
        self.assertEqual(self.diverged("run", 3, *flags), 1)


if __name__ == "__main__":
    unittest.main()
