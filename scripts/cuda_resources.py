#!/usr/bin/env python3
"""What nvcc makes of the CUDA kernels: registers, shared memory and theoretical occupancy of each, as docs/cuda-kernels.md has them.

cuda_resources.py MESSAGES PTX OCCUPANCY [--update]
  MESSAGES   folder with what ptxas said of each object (*.messages)
  PTX        folder with the PTX of the kernels, which knows their blocks
  OCCUPANCY  the program tests/cuda/occupancy
Compares with the table; --update writes it (cmake --build build/release --target cuda_table calls it so). Ends with 77 where nvcc is another one than the table's."""
import pathlib
import re
import subprocess
import sys

TABLE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "cuda-kernels.md"
TITLE = """# What nvcc makes of the kernels

Made by `cmake --build build/release --target cuda_table` from what ptxas says; a test compares, so that a change shows. Registers of a thread and theoretical
occupancy (threads that a multiprocessor can hold at once, in percent) by architecture; a kernel that spills, or keeps an array in local
memory, does not build. Nothing here says how fast a kernel is.

"""
ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")


def plain(names: list[str]) -> dict[str, str]:
    """Mangled names as people write them, without what differs from one compilation to the next."""
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    readable = {}
    for mangled, name in zip(names, text):
        name = re.sub(r"\([^()]*\bunnamed|_GLOBAL__N_\w+|\(anonymous namespace\)", "", name)
        name = name.split("(", 1)[0] if "<" not in name else name[: closing(name)]
        for word in ["void ", "silosum::kernels::", "::", "gemm"]:
            name = name.replace(word, "" if word != "::" else "::")
        readable[mangled] = re.sub(r"(?<!\w)::", "", name).replace("unsigned long", "u64").replace("unsigned int", "u32").replace(
            "unsigned char", "u8")
    return readable


def closing(name: str) -> int:
    depth = 0
    for at, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == ">" and depth == 0:
            return at + 1
    return len(name)


def main() -> int:
    update = "--update" in sys.argv
    messages, ptx, occupancy = sys.argv[1:4]
    facts = {}
    for path in sorted(pathlib.Path(messages).rglob("*.messages")):
        if not list(TABLE.parents[1].glob(f"*/**/{path.name.removesuffix('.o.messages')}")):
            continue  # of a file that is gone
        name = None
        for line in path.read_text().splitlines():
            if found := ENTRY.search(line):
                name = (found[1], int(found[2]))
            elif name and "Used" in line:
                registers = int(re.search(r"Used (\d+) registers", line)[1])
                shared = re.search(r"(\d+) bytes smem", line)
                facts[name] = (registers, int(shared[1]) if shared else 0)
    threads = {}
    compiler = ""
    for path in sorted(pathlib.Path(ptx).glob("*.ptx")):
        text = path.read_text()
        compiler = compiler or re.search(r"Cuda compilation tools, (release [\d.]+)", text)[1]
        for entry in re.finditer(r"\.entry (\w+)\(.*?\)\s*(?:\.maxntid (\d+), (\d+), (\d+))?", text, re.S):
            threads[entry[1]] = int(entry[2] or 0)
    names = plain(sorted({mangled for mangled, _ in facts} | set(threads)))
    threads = {names[mangled]: count for mangled, count in threads.items()}
    architectures = sorted({sm for _, sm in facts})
    rows = {}
    for (mangled, sm), fact in facts.items():
        rows.setdefault(names[mangled], {})[sm] = fact
    missing = [name for name in rows if not threads.get(name)]
    if missing:
        print("no __launch_bounds__: " + ", ".join(missing))
        return 1
    asked = [(name, sm) for name in sorted(rows) for sm in architectures]
    lines = "".join(f"{sm} {rows[name][sm][0]} {rows[name][sm][1]} {threads[name]}\n" for name, sm in asked)
    answers = subprocess.run([occupancy], input=lines, capture_output=True, text=True, check=True).stdout.split()
    percent = dict(zip(asked, answers))
    text = TITLE + f"nvcc {compiler}\n\n| kernel | threads | shared bytes | " + " | ".join(f"sm_{sm}" for sm in architectures) + " |\n"
    text += "|---|---|---|" + "---|" * len(architectures) + "\n"
    for name in sorted(rows):
        cells = [f"{rows[name][sm][0]}, {percent[name, sm]} %" for sm in architectures]
        shared = max(shared for _, shared in rows[name].values())
        text += f"| `{name}` | {threads[name]} | {shared} | " + " | ".join(cells) + " |\n"
    if update:
        TABLE.write_text(text)
        return 0
    committed = TABLE.read_text() if TABLE.exists() else ""
    if f"nvcc {compiler}\n" not in committed:
        print(f"the table is of another nvcc than {compiler}")
        return 77
    before, after = committed.splitlines(), text.splitlines()
    changed = [f"- {line}" for line in before if line not in after] + [f"+ {line}" for line in after if line not in before]
    if changed:
        print("\n".join(changed) + f"\nchanged; if that is meant: scripts/cuda_resources.py {' '.join(sys.argv[1:4])} --update")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
