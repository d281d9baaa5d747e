"""`silosum report` on runs that were really trained: finished, secure, killed, going on; and its refusals."""

import html.parser
import unittest

import harness

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Every tag that is opened is closed in turn; counts tags and keeps the words."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.labels, self.words = [], {}, [], ""
        self.feed(text)
        self.close()
        assert not self.stack, f"left open: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.labels += [value for name, value in attrs if name == "aria-label"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.words += data


class Report(harness.EndToEnd):
    def report(self, *arguments, code=0):
        result = harness.run(["report", *arguments])
        self.assertEqual(result.code, code, str(result))
        return result

    def page(self, path):
        return Page(path.read_text())

    def test_a_run_is_drawn_from_its_folder(self):
        self.train(flags=["--run.rounds", "6", "--eval.every", "2"])
        run = self.folder / "run"
        self.report(run)
        page = self.page(run / "report.html")
        self.assertEqual(page.tags["figure"], 7)
        for round_record in self.metrics():
            self.assertIn(round_record["model_sha256"], page.words)
        for word in ("Dream", "6 of 6", "done", "0.7941", "local.epochs"):  # 0.7941: Biscoe alone, as in the README
            self.assertIn(word, page.words)
        first, last = self.metrics()[1]["test"]["overall"]["accuracy"], self.metrics()[5]["test"]["overall"]["accuracy"]
        self.assertTrue(any(f"all silos together from {first:.4g} at round 2 to {last:.4g} at 6" in label for label in page.labels), page.labels)

        # The same bytes again, over its own file; a run that starts anew has no report of the earlier one.
        before = (run / "report.html").read_bytes()
        self.report(f"{run}/")
        self.assertEqual((run / "report.html").read_bytes(), before)
        self.train(flags=["--run.rounds", "7", "--run.resume", "auto"])
        self.report(run)
        self.assertIn("7 of 7", self.page(run / "report.html").words)
        self.train(flags=["--run.rounds", "1", "--run.overwrite", "true"])
        self.assertFalse((run / "report.html").exists())

    def test_runs_are_laid_over_each_other(self):
        self.train(name="plain", flags=["--run.rounds", "4"])
        self.train(name="masked", flags=["--run.rounds", "4", "--exchange.secure", "true", "--eval.compare_local", "false"])
        self.train(name="slow", flags=["--run.rounds", "4", "--local.lr", "0.01"])
        out = self.folder / "all.html"
        self.report(self.folder / "plain", self.folder / "masked", self.folder / "slow", "--out", out)
        page = self.page(out)
        self.assertIn("masked summed under masks: nothing of single silos is recorded", page.words)
        self.assertIn("in all rounds in common: 4", page.words)  # masked equals plain, bit for bit
        self.assertIn("in no round", page.words)
        self.assertIn("What differs", page.words)
        for name in ("plain", "masked", "slow"):
            self.assertTrue(any(f"{name} from" in label for label in page.labels))

    def test_a_killed_run_is_drawn_as_far_as_it_came(self):
        self.train(flags=["--run.rounds", "3"])
        run = self.folder / "run"
        (run / "summary.json").unlink()
        metrics = run / "metrics.jsonl"
        metrics.write_text(metrics.read_text()[:-100])
        self.assertIn("cut off", self.report(run).err)
        page = self.page(run / "report.html")
        for word in ("cut off", "no summary.json", "2 of 3", "not ended"):
            self.assertIn(word, page.words)
        metrics.unlink()
        self.report(run)
        self.assertIn("No round has ended yet", self.page(run / "report.html").words)

    def test_what_is_no_run_or_no_place_for_a_page_is_refused(self):
        self.train(flags=["--run.rounds", "1"])
        run = self.folder / "run"
        other = self.folder / "mine.html"
        other.write_text("<p>mine</p>")
        for arguments, code, word in (
            ([self.folder / "none"], 3, "neither a run folder, which"),
            ([self.folder], 3, "is no run folder: it has no config.cfg"),
            ([run / "config.cfg"], 3, "config.cfg is cut off, or no JSON at all"),
            ([run / "summary.json"], 3, "summary.json is no file of silosum bench --json"),
            ([run, f"{run}/."], 2, "is given twice"),
            ([run, "--out", other], 2, "holds something else"),
            ([run, "--out", self.folder / "page.txt"], 2, "must end with .html"),
            ([run, "--out", self.folder / "none" / "page.html"], 2, "make it first"),
            ([run, "--uot", "x.html"], 2, 'did you mean "--out"?'),
            ([], 2, "run folders"),
        ):
            result = self.report(*arguments, code=code)
            self.assertIn(word, result.err)
        self.assertEqual(other.read_text(), "<p>mine</p>")

    def test_benchmarks_of_several_numbers_of_ranks_go_on_one_page(self):
        files = []
        for ranks in (3, 4):
            files.append(self.folder / f"np{ranks}.json")
            options = ["--sizes", "4K:16K:x4", "--ring", "32,64", "--repetitions", "2", "--json", files[-1]]
            self.assertEqual(harness.run(["bench", *options], ranks=ranks).code, 0)
        out = self.folder / "bench.html"
        self.assertIn("2 benchmark files drawn", self.report(*files, "--out", out).out)
        page = self.page(out)
        for word in ("3 ranks on 1 machine", "4 ranks on 1 machine", "not valid: ", "np3.json: 3 ranks, 14 lines"):
            self.assertIn(word, page.words)
        for title in ("Time by ranks, 16 KiB", "Secure over plain by size, 4 ranks", "Phases of secure 64 by size, 3 ranks"):
            self.assertTrue(any(label.startswith(title) for label in page.labels), page.labels)

        self.train(flags=["--run.rounds", "1"])
        run = self.folder / "run"
        cut = self.folder / "cut.json"
        cut.write_text(files[0].read_text()[:-100])
        for arguments, code, word in (
            ([*files, cut], 3, "cut.json is cut off"),
            ([files[0], run], 3, "are drawn on pages of their own"),
            ([run, files[0]], 3, "are drawn on pages of their own"),
            ([files[0], self.folder / "none.json"], 3, "there is no file"),
            ([files[0], files[0]], 2, "is given twice"),
            ([*files, "--out", files[0]], 2, "must end with .html"),
        ):
            result = self.report(*arguments, code=code)
            self.assertIn(word, result.err)
            self.assertEqual(result.err.count("silosum: "), 1, result.err)


if __name__ == "__main__":
    unittest.main()
