"""Reports open in Chromium without an error and without a request. Skipped where there is no Chromium."""

import json
import re
import shutil
import subprocess
import sys
import unittest

import harness

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# What the checks have to notice.
BROKEN = '<!DOCTYPE html><title>broken</title><img src="http://127.0.0.1:9/image.png"><script>console.error("wrong"); no_such_function();</script>'


class Opened:
    """A page after Chromium has laid it out, drawn it and printed it."""

    def __init__(self, page, folder):
        log, screen, paper = folder / "requests.json", folder / "screen.png", folder / "paper.pdf"
        # No name is resolved: the browser itself would like to ask its maker for updates. Its sandbox does not start as root.
        words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", "--window-size=1280,2000",
                 "--enable-logging=stderr", f"--log-net-log={log}", f"--screenshot={screen}", f"--print-to-pdf={paper}", "--dump-dom",
                 page.as_uri()]
        result = subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert result.returncode == 0, result.stderr
        self.document = result.stdout
        self.console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        self.sizes = {file.name: file.stat().st_size for file in (screen, paper)}
        self.asked = []
        for event in json.loads(log.read_text())["events"]:
            parameters = event.get("params", {})
            # Requests of the browser's own have no page as their origin.
            if parameters.get("initiator", "not an origin") != "not an origin" and not parameters.get("url", "").startswith(("file:", "data:")):
                self.asked.append(parameters["url"])


class Browser(harness.EndToEnd):
    def test_reports_open_without_errors_and_requests(self):
        broken = self.folder / "broken.html"
        broken.write_text(BROKEN)
        control = Opened(broken, self.folder)
        self.assertEqual(len(control.console), 2, control.console)
        self.assertEqual(control.asked, ["http://127.0.0.1:9/image.png"])

        self.train(name="plain", flags=["--run.rounds", "4"])
        self.train(name="masked", flags=["--run.rounds", "4", "--exchange.secure", "true", "--eval.compare_local", "false"])
        page = self.folder / "report.html"
        result = harness.run(["report", self.folder / "plain", self.folder / "masked", "--out", page])
        self.assertEqual(result.code, 0, str(result))
        self.check(page, control)

        files = [self.folder / f"np{ranks}.json" for ranks in (3, 4)]
        for ranks, file in zip((3, 4), files):
            options = ["--sizes", "4K:16K:x4", "--repetitions", "2", "--json", file]
            self.assertEqual(harness.run(["bench", *options], ranks=ranks).code, 0)
        page = self.folder / "bench.html"
        result = harness.run(["report", *files, "--out", page])
        self.assertEqual(result.code, 0, str(result))
        self.check(page, control)

    def check(self, page, control):
        opened = Opened(page, self.folder)
        self.assertEqual(opened.console, [])
        self.assertEqual(opened.asked, [])
        # Nothing was mended while it was read: as many tags of each kind as in the file.
        for tag in ("figure", "svg", "path", "table", "tr", "li"):
            count = len(re.findall(rf"<{tag}\b", opened.document))
            self.assertEqual(count, len(re.findall(rf"<{tag}\b", page.read_text())), tag)
            self.assertGreater(count, 0, tag)
        # Something was drawn, on the screen and on paper: the broken page is as good as empty.
        for name, size in opened.sizes.items():
            self.assertGreater(size, 4 * control.sizes[name], name)


if __name__ == "__main__":
    if CHROMIUM is None:
        print("skipped: Chromium is not installed; scripts/test.sh installs it where Debian has it")
        sys.exit(77)
    unittest.main()
