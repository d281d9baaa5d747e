"""From timed rounds to rates, and from rates to rounds that nobody has run."""

import json
import pathlib
import unittest

import harness

# Rates of a machine that does not exist, so that nothing here depends on the time of day. Order and names are those of docs/formats.md.
KINDS = (
    "encode", "encode_more", "encode_shared", "move", "add_up", "decode", "memory", "bus", "message", "message_bytes", "meeting", "stream", "tag", "look", "hash",
    "agreement", "signature", "product", "pause", "uneven", "uneven_shared", "link_bytes", "link_hop",
)
SECONDS = {"message": 1e-6, "meeting": 1e-6, "agreement": 5e-5, "signature": 5e-5, "product": 2e-9, "pause": 1e-6}


def a_fit():
    return {
        "format": "silosum-fit", "version": 4, "cached_bytes": 3e7, "spread": 0.05, "doubling": 0.1,
        "covariance": [[0.0] * len(KINDS) for _ in KINDS],
        "ranges": {"ranks": [1, 8], "silos": [1, 64], "parameters": [65536, 8388608], "machines": [1, 1], "cores": [1, 2]},
        "rates": [{"name": kind, "seconds": SECONDS.get(kind, 2e-10), "measured": not kind.startswith("link")} for kind in KINDS],
    }


class Scale(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fit = pathlib.Path(self.folder) / "fit.json"
        self.fit.write_text(json.dumps(a_fit()))

    def plan(self, *flags):
        return harness.run(["plan", "--fit", self.fit, "--parameters", "1000000", *flags])

    def test_a_fit_holds_what_was_timed_and_rates_with_intervals(self):
        file = pathlib.Path(self.folder) / "own.json"
        result = harness.run(["bench", "--fit", file, "--sizes", "256K", "--repetitions", "1", "--disturbed"], ranks=2)
        self.assertEqual(result.code, 0, str(result))
        fit = json.loads(file.read_text())
        self.assertEqual((fit["format"], fit["version"]), ("silosum-fit", 4))
        self.assertEqual([rate["name"] for rate in fit["rates"]], list(KINDS))
        for rate in fit["rates"]:
            self.assertLessEqual(rate["low"], rate["seconds"])
            self.assertLessEqual(rate["seconds"], rate["high"])
        self.assertEqual({line["ranks"] for line in fit["lines"]}, {1, 2})
        self.assertTrue(all(line["wrong_words"] == 0 and line["memory_reads"] > 0 for line in fit["lines"]))
        rounds = [(line["ranks"], line["exchange"], line["bytes"], line["ring_bits"], line["silos"], line.get("graph"), line["dropouts"], line["transport"])
                  for line in fit["lines"]]
        self.assertGreaterEqual(min(rounds.count(line) for line in rounds), 3, "passes")
        self.assertLessEqual(max(rounds.count(line) for line in rounds), 6, "no more than the most passes")
        again = harness.run(["bench", "--fit", file, "--sizes", "256K", "--repetitions", "1", "--disturbed"])
        self.assertEqual(again.code, 0, f"a fit may be made anew: {again}")

    def test_a_plan_says_how_far_it_is_from_what_was_measured(self):
        near = self.plan("--ranks", "4", "--cores", "2")
        self.assertEqual(near.code, 0, str(near))
        self.assertIn("within what was measured", near.out)
        self.assertNotIn("warning", near.out)
        far = self.plan("--ranks", "4096", "--silos", "1000", "--machines", "64", "--link", "12.5G,2us", "--secure")
        self.assertEqual(far.code, 0, str(far))
        self.assertIn("512x the most ranks", far.out)
        self.assertIn("32x the most cores", self.plan("--ranks", "64", "--cores", "64").out)
        self.assertIn("warning: that is far", far.out)
        for phase in ("keys", "encode", "mask", "wire", "agree", "unmask", "decode", "publish", "hash", "idle", "all"):
            self.assertRegex(far.out, rf"(?m)^{phase} ")

    def test_memory_of_another_round_than_that_of_the_run_is_told(self):
        few = harness.run(["plan", harness.PENGUINS, "--fit", self.fit, "--cores", "2", "--ranks", "2"])
        many = harness.run(["plan", harness.PENGUINS, "--fit", self.fit, "--cores", "2", "--ranks", "2", "--silos", "64"])
        self.assertNotIn("memory of a rank for the exchange", few.out)
        self.assertIn("memory of a rank for the exchange", many.out)

    def test_a_plan_tells_what_its_fit_is_worth(self):
        self.fit.write_text(json.dumps(a_fit() | {"with_disturbed": True, "slow_memory": ["a", "b"]}))
        out = self.plan("--ranks", "4", "--cores", "2").out
        self.assertIn("warning: the fit counts rounds that others disturbed", out)
        self.assertIn("warning: 2 rounds of the fit never saw the memory at its fastest", out)

    def test_words_are_added_up_on_each_machine_unless_asked_otherwise(self):
        flags = ("--ranks", "16", "--machines", "4", "--link", "1G,2us")
        default = self.plan(*flags)
        self.assertEqual(default.code, 0, str(default))
        self.assertEqual(default.out, self.plan(*flags, "--scheme", "two-level").out)
        self.assertNotEqual(default.out, self.plan(*flags, "--scheme", "slices").out)

    def test_rounds_are_played_the_same_way_twice(self):
        flags = ("--ranks", "4", "--silos", "200", "--secure", "--simulate", "5", "--leave", "0.03", "--train-s", "10", "--straggling", "0.3")
        first = self.plan(*flags)
        self.assertEqual(first.code, 0, str(first))
        self.assertRegex(first.out, r"5 rounds played, 0 without a sum")
        self.assertEqual(first.out, self.plan(*flags).out)
        self.assertNotEqual(first.out, self.plan(*flags, "--seed", "2").out)
        too_many = self.plan("--ranks", "4", "--silos", "200", "--secure", "--simulate", "5", "--leave", "0.5")
        self.assertRegex(too_many.out, r"5 rounds played, 5 without a sum: .* are needed")

    def test_a_configuration_is_foretold_too(self):
        result = harness.run(["plan", harness.PENGUINS, "--ranks", "3", "--fit", self.fit])
        self.assertEqual(result.code, 0, str(result))
        self.assertIn("memory of the largest rank", result.out)
        self.assertNotIn("memory of a rank for the exchange", result.out, "it is part of the table above")
        self.assertRegex(result.out, r"beyond what was measured: 1.5x the most cores, 0.000229x the fewest parameters\n"
                                     r"warning: that is far; take it for an order of magnitude \(docs/scale.md\)")
        self.assertRegex(result.out, r"(?m)^all ")

    def test_what_cannot_be_foretold_is_refused(self):
        for flags, text in (
            (("--ranks", "8", "--machines", "2"), "--link"),
            (("--ranks", "8", "--machines", "3"), "must divide"),
            (("--ranks", "8", "--link", "fast"), "12.5G,2us"),
            (("--ranks", "8", "--scheme", "rings"), 'did you mean "ring"'),
        ):
            result = self.plan(*flags)
            self.assertEqual(result.code, 2, str(result))
            self.assertIn(text, result.err)
        self.assertIn("--fit needs a value", harness.run(["plan", harness.PENGUINS, "--fit"]).err)
        result = harness.run(["plan", harness.PENGUINS, "--fit", self.fit, "--ring=64", "--secure"])
        self.assertEqual(result.code, 2, str(result))
        self.assertIn("--ring (--exchange.ring_bits), --secure (--exchange.secure): of a round of a configuration", result.err)
        for flags, text in (
            (("--seed", "7"), "--seed: does nothing without --simulate"),
            (("--tags",), "--tags: does nothing without --secure"),
            (("--link", "1G,2us"), "--link 1G,2us: is between machines"),
            (("--secure", "--leave", "0.5"), "--leave 0.5: 2 of 4 silos are left, 3 are needed"),
            (("--leave", "0.1"), "--leave: does nothing without --secure or --simulate"),
        ):
            result = self.plan("--ranks", "4", *flags)
            self.assertEqual(result.code, 2, str(result))
            self.assertIn(text, result.err)
        self.assertIn("goes with --fit", harness.run(["plan", harness.PENGUINS, "--silos", "9"]).err)
        self.fit.write_text(json.dumps(a_fit() | {"version": 3}))
        result = self.plan("--ranks", "4")
        self.assertEqual(result.code, 3, str(result))
        self.assertIn("version 3, this program reads 4", result.err)
        damaged = a_fit()
        for damage, text in (
            (damaged | {"rates": damaged["rates"][1:]}, f"has {len(KINDS) - 1} rates, not {len(KINDS)}"),
            (damaged | {"ranges": {"ranks": [1, 8]}}, "ranges have no"),
            (damaged | {"ranges": {"ranks": [1]}}, "is damaged, or no fit"),
        ):
            self.fit.write_text(json.dumps(damage))
            result = self.plan("--ranks", "4")
            self.assertEqual(result.code, 3, str(result))
            self.assertIn(text, result.err)
            self.assertIn("make it anew with bench --fit", result.err)
        self.fit.write_text(json.dumps(damaged)[:100])
        self.assertIn("is cut off at byte 101, or no JSON at all", self.plan("--ranks", "4").err)
        result = harness.run(["plan", "--fit", self.folder, "--parameters", "1000", "--ranks", "4"])
        self.assertEqual(result.code, 3, str(result))
        self.assertIn("is a folder", result.err)


if __name__ == "__main__":
    unittest.main()
