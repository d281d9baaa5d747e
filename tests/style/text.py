#!/usr/bin/env python3
"""Laws of the text that no compiler checks: short files, a first comment in every header, nothing unfinished, no path of one machine."""
import pathlib
import re
import sys

LONGEST = 450
ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["src", "kernels", "tests", "scripts", "docs", "configs", ".ci"]
CODE = {".hpp", ".cpp", ".cuh", ".cu", ".py", ".sh"}
TEXT = CODE | {".md", ".cfg", ".txt", ".cmake", ".lua", ""}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w")


def problems_of(path: pathlib.Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    if path.suffix in CODE and len(lines) > LONGEST:
        found.append(f"{len(lines)} lines; at most {LONGEST}: is it still one idea?")
    if path.suffix in {".hpp", ".cuh"} and not text.startswith("// "):
        found.append("the first line is no comment that says what the file is for")
    # Those are included once for every instruction set.
    if path.suffix in {".hpp", ".cuh"} and "#pragma once" not in lines and not path.name.endswith("-inl.hpp"):
        found.append("no #pragma once")
    if text and not text.endswith("\n"):
        found.append("no newline at the end")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip() and path.suffix != ".md":
            found.append(f"line {number}: blanks at the end")
        if UNFINISHED.search(line):
            found.append(f"line {number}: unfinished: {line.strip()}")
        if MACHINE_PATH.search(line):
            found.append(f"line {number}: a path of one machine: {line.strip()}")
    return found


def main() -> int:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    files += [path for path in sorted(ROOT.glob("*")) if path.is_file() and path.name != "LICENSE"]
    count = 0
    for path in files:
        if path.suffix not in TEXT or "__pycache__" in path.parts:
            continue
        for problem in problems_of(path):
            print(f"{path.relative_to(ROOT)}: {problem}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
