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


class Browser(harness.EndToEnd):
    def browse(self, page, *flags):
        # No name is resolved: the browser itself would like to ask its maker for updates. The sandbox does not start as root.
        words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                 "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self.folder / 'profile'}", "--window-size=1280,2000",
                 *flags, page.as_uri()]
        result = subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def open(self, page):
        """Opens a page; returns (document after layout, what the console says, addresses that the page asked for)."""
        log = self.folder / "requests.json"
        result = self.browse(page, "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom")
        console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        asked = []
        for event in json.loads(log.read_text())["events"]:
            parameters = event.get("params", {})
            # Requests of the browser's own have no page as their origin.
            if parameters.get("initiator", "not an origin") != "not an origin" and not parameters.get("url", "").startswith(("file:", "data:")):
                asked.append(parameters["url"])
        return result.stdout, console, asked

    def test_a_broken_page_is_noticed(self):
        page = self.folder / "broken.html"
        page.write_text(BROKEN)
        _, console, asked = self.open(page)
        self.assertEqual(len(console), 2, console)
        self.assertEqual(asked, ["http://127.0.0.1:9/image.png"])

    def test_reports_open_without_errors_and_requests(self):
        self.train(name="plain", flags=["--run.rounds", "4"])
        self.train(name="masked", flags=["--run.rounds", "4", "--exchange.secure", "true", "--eval.compare_local", "false"])
        page = self.folder / "report.html"
        result = harness.run(["report", self.folder / "plain", self.folder / "masked", "--out", page])
        self.assertEqual(result.code, 0, str(result))
        document, console, asked = self.open(page)
        self.assertEqual(console, [])
        self.assertEqual(asked, [])
        # Nothing was mended while it was read: as many tags of each kind as in the file.
        for tag in ("figure", "svg", "path", "table", "tr", "li"):
            count = len(re.findall(rf"<{tag}\b", document))
            self.assertEqual(count, len(re.findall(rf"<{tag}\b", page.read_text())), tag)
            self.assertGreater(count, 0, tag)

        empty = self.folder / "empty.html"
        empty.write_text("<!DOCTYPE html><title>empty</title>")
        sizes = {}
        for shown in (page, empty):
            self.browse(shown, f"--screenshot={self.folder / 'screen.png'}")
            self.browse(shown, "--no-pdf-header-footer", f"--print-to-pdf={self.folder / 'paper.pdf'}")
            sizes[shown] = [(self.folder / name).stat().st_size for name in ("screen.png", "paper.pdf")]
        # Something was drawn, on the screen and on paper.
        for drawn, blank in zip(sizes[page], sizes[empty]):
            self.assertGreater(drawn, 3 * blank)


if __name__ == "__main__":
    if CHROMIUM is None:
        print("skipped: Chromium is not installed; scripts/test.sh installs it where Debian has it")
        sys.exit(77)
    unittest.main()
