#!/usr/bin/env python3
"""Includes go one way: a folder sees only the levels above it, and a library only the folder that wraps it sees.

includes.py checks src and kernels; includes.py --self-test shows that it refuses what it should."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A file may include its own folder and every folder on a line above its own.
LEVELS = [
    ["base"],
    ["device"],
    ["kernels", "io", "comm"],
    ["model"],
    ["data"],
    ["round"],
    ["algorithms", "aggregation", "compression", "privacy"],
    ["exchange"],
    ["federation", "benchmark"],
    ["observe"],
    ["config"],
    ["commands"],
    ["main"],
]
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}

# Not even through another header: these run without ranks in the tests, kernels on a machine that has only a compiler.
NEVER_REACH = {"privacy": {"comm"}, "algorithms": {"comm"}}

# Each library is called in the folder that wraps it and nowhere else.
WRAPPED_IN = [
    (re.compile(r"^mpi\.h$"), {"comm"}),
    (re.compile(r"^(hdf5|H5\w*)\.h$"), {"io"}),
    (re.compile(r"^zlib\.h$"), {"io"}),
    (re.compile(r"^boost/program_options"), {"base", "commands"}),
    (re.compile(r"^openssl/"), {"base", "kernels", "privacy"}),
    (re.compile(r"^sodium"), {"privacy"}),
    (re.compile(r"^intel-ipsec-mb"), {"privacy"}),
    (re.compile(r"^hwy/"), {"kernels"}),
    (re.compile(r"^(dnnl|oneapi/)"), {"kernels"}),
    (re.compile(r"^cuda"), {"device"}),
    (re.compile(r"^nccl\.h$"), {"comm"}),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def folder_of(name: str) -> str:
    """"comm/mpi.hpp" -> comm, "kernels/dense.hpp" -> kernels, "main.cpp" -> main."""
    return name.split("/")[0] if "/" in name else pathlib.PurePath(name).stem


def problems_of(files: dict[str, str]) -> list[str]:
    """files: name as an #include would spell it -> text."""
    found = []
    own = {name: [target for _, target in INCLUDE.findall(text) if target in files] for name, text in files.items()}
    for name, text in files.items():
        folder = folder_of(name)
        if folder not in LEVEL:
            found.append(f'{name}: folder "{folder}" has no level in tests/style/includes.py')
            continue
        for _, target in INCLUDE.findall(text):
            for library, folders in WRAPPED_IN:
                if library.search(target) and folder not in folders:
                    found.append(f"{name} includes <{target}>, which only {', '.join(sorted(folders))} may")
        for target in own[name]:
            other = folder_of(target)
            if other != folder and LEVEL.get(other, 0) >= LEVEL[folder]:
                found.append(f'{name} includes "{target}": {other} does not stand above {folder}')
        for forbidden in sorted(reached_folders(name, own) & NEVER_REACH.get(folder, set())):
            found.append(f"{name} reaches {forbidden} through its includes; {folder} must build without it")
    return found


def reached_folders(name: str, own: dict[str, list[str]]) -> set[str]:
    seen, todo = set(), [name]
    while todo:
        for target in own[todo.pop()]:
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return {folder_of(target) for target in seen}


def self_test() -> list[str]:
    """Each pair: what the files hold, and a word of the verdict ("" for none)."""
    cases = [
        ({"base/a.hpp": "", "io/b.cpp": '#include "base/a.hpp"\n#include <hdf5.h>'}, ""),
        ({"io/b.hpp": "", "base/a.cpp": '#include "io/b.hpp"'}, "does not stand above"),
        ({"io/b.hpp": "", "kernels/a.cpp": '#include "io/b.hpp"'}, "does not stand above"),
        ({"comm/b.hpp": "", "io/a.cpp": '#include "comm/b.hpp"'}, "does not stand above"),
        ({"model/a.cpp": "# include <mpi.h>"}, "only comm may"),
        ({"exchange/a.cpp": "#include <nccl.h>"}, "only comm may"),
        ({"kernels/a_cuda.cu": "#include <cuda_runtime.h>"}, "only device may"),
        ({"config/a.cpp": "#include <boost/program_options.hpp>"}, "only base, commands may"),
        ({"comm/m.hpp": "", "round/r.hpp": '#include "comm/m.hpp"', "algorithms/a.cpp": '#include "round/r.hpp"'}, "reaches comm"),
        ({"utils/a.hpp": ""}, "has no level"),
    ]
    wrong = []
    for files, word in cases:
        found = problems_of(files)
        if bool(found) != bool(word) or (word and not any(word in problem for problem in found)):
            wrong.append(f'{list(files)}: expected "{word}", got {found}')
    return wrong


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    else:
        files = {}
        for top in ["src", "kernels"]:
            base = ROOT / "src" if top == "src" else ROOT
            for path in sorted(path for path in (ROOT / top).rglob("*") if path.suffix in {".hpp", ".cpp", ".cuh", ".cu"}):
                files[path.relative_to(base).as_posix()] = path.read_text(encoding="utf-8")
        found = problems_of(files)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
