#!/usr/bin/env python3
"""Line coverage of the CUDA kernels by their contract tests.

coverage.py GCOV OBJECTS PROGRAM [ARGUMENTS ...]: runs the program, whose kernel files were compiled with --coverage into the folder OBJECTS, and prints
what part of the lines of each .cu and .cuh ran. Fails below 95 % of all."""
import collections
import json
import pathlib
import subprocess
import sys

LEAST = 95.0


def main() -> int:
    gcov, objects, program = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    for old in objects.rglob("*.gcda"):
        old.unlink()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    notes = sorted(objects.rglob("*.gcno"))
    if not notes:
        print(f"no coverage notes in {objects}")
        return 1
    # A line of a header runs if it runs in any file; a template's if any of its instances does.
    counts: dict[str, dict[int, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    for note in notes:
        text = subprocess.run([gcov, "--json-format", "--stdout", str(note)], check=True, capture_output=True, text=True, cwd=objects).stdout
        for line in text.splitlines():
            for file in json.loads(line)["files"]:
                name = pathlib.Path(file["file"])
                if name.suffix not in {".cu", ".cuh"}:
                    continue
                for entry in file["lines"]:
                    counts[name.name][entry["line_number"]] += entry["count"]
    ran = {name: sum(1 for count in lines.values() if count > 0) for name, lines in counts.items()}
    for name in sorted(counts):
        missed = sorted(number for number, count in counts[name].items() if count == 0)
        print(f"{name:28} {ran[name]:4} of {len(counts[name]):4} lines{'   not: ' + ' '.join(map(str, missed)) if missed else ''}")
    total = sum(len(lines) for lines in counts.values())
    share = 100 * sum(ran.values()) / total
    print(f"line coverage of the CUDA kernels: {share:.1f} % of {total} lines")
    if share < LEAST:
        print(f"at least {LEAST:g} % are wanted")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
