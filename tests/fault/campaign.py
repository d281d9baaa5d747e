"""Faults at random moments of runs that must end all the same with the model of a run without any: campaign.py N [--seed S] [--kind KIND]

Of every kind of fault in turns, in plain and secure sums, on two to four ranks. After each: nothing hangs, the message is there, the run goes
on (on another number of ranks) to the same model, every round stands once in the record, and nothing is lost but the rounds since the last
checkpoint; nothing at all where the run was told to stop. Ends with the counts by kind.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
import harness  # noqa: E402

ROUNDS, EVERY = 300, 10
DONE, DATA, RUNTIME, STOPPED = 0, 3, 4, 75
LONGEST_S = 90  # whatever takes longer hangs


class Wrong(Exception):
    pass


def require(condition, *what):
    if not condition:
        raise Wrong("\n".join(map(str, what)))


class Victim:
    """A run of three silos whose faults are to come; its folder is new."""

    def __init__(self, folder, seed, draw, secure, usual_s):
        self.draw, self.usual_s, self.seed = draw, usual_s, seed
        self.dir = folder / "run"
        self.shards = folder / "shards"
        shutil.copytree(harness.ROOT / "configs" / "data" / "penguins", self.shards)
        self.filler = folder / "filler"
        self.settings = {"run.dir": self.dir, "run.rounds": ROUNDS, "run.seed": seed, "run.progress": "none", "run.resume": "auto"}
        self.settings |= {"data.shards": self.shards, "data.silos": 3, "eval.compare_local": "false", "eval.every": 50, "checkpoint.every": EVERY}
        self.secure = {}
        if secure:
            self.secure = {"exchange.secure": "true", "exchange.identities": "roster"}
            self.secure |= {"exchange.roster": folder.parent / "roster.json", "exchange.keys": folder.parent / "keys"}

    def words(self, settings):
        return ["train", harness.PENGUINS, *(word for key, value in (self.settings | settings).items() for word in (f"--{key}", value))]

    def uninterrupted(self, folder):
        """The hashes of all rounds."""
        result = harness.run(self.words({"run.dir": folder}))
        require(result.code == DONE, result)
        return [json.loads(line)["model_sha256"] for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def start(self, **more):
        """more: exchange__deadline_s for exchange.deadline_s."""
        settings = self.secure | {"exchange.deadline_s": 30} | {key.replace("__", "."): value for key, value in more.items()}
        return harness.start(self.words(settings), self.draw.choice((2, 3, 4)))

    def finish(self, process):
        try:
            return harness.finish(process, LONGEST_S)
        except AssertionError as error:
            raise Wrong(error) from None

    def pause(self):
        """To a random moment of a run, from its very start to its end."""
        time.sleep(self.draw.random() * self.usual_s)

    def ranks_of(self, process):
        return harness.rank_pids(process.pid) if process.poll() is None else []

    def send(self, pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def recorded(self):
        path = self.dir / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0  # whole lines

    def checkpoints(self):
        return sorted(path.parent for path in (self.dir / "checkpoints").glob("round-*/manifest.json"))

    def resume(self, *, lost=EVERY):
        """To the end. Nothing is lost but so many rounds, at most."""
        before = self.recorded()
        result = self.finish(self.start())
        require(result.code == DONE, "it does not go on", result)
        words = result.out.split("resumed after round ")
        after = int(words[1].split()[0]) if len(words) > 1 else ROUNDS if "nothing left to train" in result.out else 0
        require(after >= before - lost, f"{before} rounds were done, it went on after {after}", result)
        return result


def one_killed(run):
    process = run.start()
    run.pause()
    run.send(run.ranks_of(process)[:1] if run.draw.random() < 0.5 else run.ranks_of(process)[-1:], signal.SIGKILL)
    run.finish(process)
    run.resume()


def all_killed(run):
    process = run.start()
    run.pause()
    run.send(run.ranks_of(process), signal.SIGKILL)
    run.finish(process)
    run.resume()


def stuck(run):
    """One that hangs is noticed by the others, and named."""
    process = run.start(exchange__deadline_s=5)
    # Before, nobody knows how long to wait: MPI_Init has ten minutes.
    while not (run.dir / ".lock").exists() and process.poll() is None:
        time.sleep(0.01)
    run.pause()
    pids = run.ranks_of(process)
    run.send(pids[-1:], signal.SIGSTOP)
    time.sleep(0.5)
    if (run.dir / "summary.json").exists():
        run.send(pids[-1:], signal.SIGCONT)  # all is done, and mpirun waits for a process that ends for as long as it takes
    result = run.finish(process)
    if result.code != DONE:
        is_named = f"rank {len(pids) - 1} does not answer" in result.err or "waited 5 s in MPI_" in result.err
        require(result.code == RUNTIME and is_named, "the others do not say for whom they waited", result)
    run.resume()


def slow(run):
    """One that hangs for less than the deadline is waited for."""
    process = run.start()
    run.pause()
    pids = run.ranks_of(process)[-1:]
    run.send(pids, signal.SIGSTOP)
    time.sleep(run.draw.random())
    run.send(pids, signal.SIGCONT)
    result = run.finish(process)
    require(result.code == DONE, "a slow rank ends the run", result)


def told_to_stop(run, tell):
    process = run.start()
    # A program that has not begun ends by these signals, as every program; from the first round on it saves.
    while run.recorded() == 0 and process.poll() is None:
        time.sleep(0.01)
    run.pause()
    tell(process)
    result = run.finish(process)
    # All is done, and mpirun about to end no longer listens: the signal ends it.
    is_done = result.code == -signal.SIGUSR1 and "done after" in result.out
    require(result.code in (DONE, STOPPED) or is_done, "told to stop, it neither saves nor ends", result)
    run.resume(lost=0)


def terminated(run):
    told_to_stop(run, lambda process: run.send(run.ranks_of(process), signal.SIGTERM))


def warned(run):
    told_to_stop(run, lambda process: run.send([process.pid] if process.poll() is None else [], signal.SIGUSR1))


def full_disk(run):
    process = run.start()
    run.pause()
    try:
        with run.filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError:
        pass
    result = run.finish(process)
    run.filler.unlink()
    require(result.code == DONE or "No space left on device" in result.err, "it does not say that the disk is full", result)
    run.resume()


def damaged_checkpoint(run):
    process = run.start()
    while len(run.checkpoints()) < 2 and process.poll() is None:
        time.sleep(0.01)
    run.pause()
    run.send(run.ranks_of(process), signal.SIGKILL)
    run.finish(process)
    file = run.draw.choice(sorted(run.checkpoints()[-1].iterdir()))
    data = file.read_bytes()
    if run.draw.random() < 0.5:
        file.write_bytes(data[: run.draw.randrange(len(data))])
    else:
        place = run.draw.randrange(len(data))
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << run.draw.randrange(8)]) + data[place + 1 :])
    result = run.resume(lost=3 * EVERY)
    require("is damaged" in result.err, "it does not say what is damaged", result)


def vanished_shard(run):
    process = run.start()
    run.pause()
    shard = run.draw.choice(sorted(run.shards.glob("silo-*.h5")))
    away = shard.with_suffix(".away")
    shard.rename(away)
    run.send(run.ranks_of(process)[:1], signal.SIGKILL)
    run.finish(process)
    result = run.finish(run.start())
    is_done = "nothing left to train" in result.out
    require(result.code == DATA or is_done, "it trains without a silo", result)
    require("data.silos = 3, but data.shards names 2 shards" in result.err or is_done, "it does not say what is missing", result)
    away.rename(shard)
    run.resume()


KINDS = {
    "a rank killed": one_killed,
    "all ranks killed": all_killed,
    "a rank that hangs": stuck,
    "a rank that is slow": slow,
    "SIGTERM to the ranks": terminated,
    "SIGUSR1 to mpirun": warned,
    "a full disk": full_disk,
    "a damaged checkpoint": damaged_checkpoint,
    "a vanished shard": vanished_shard,
}


def make_roster(folder):
    entries = []
    for name in ("Biscoe", "Dream", "Torgersen"):
        result = harness.run(["keygen", "--silo", name, "--valid-until", "2099-12-31", "--folder", folder / "keys"])
        require(result.code == DONE, result)
        entries.append(json.loads(result.out))
    (folder / "roster.json").write_text(json.dumps({"format": "silosum-roster", "version": 1, "silos": entries}))


def campaign(folder, count, seed, only):
    make_roster(folder)
    kinds = {name: fault for name, fault in KINDS.items() if only in name}
    draw = random.Random(seed)
    usual_s = {}
    counts = collections.Counter()
    for number in range(count):
        name, fault = list(kinds.items())[number % len(kinds)]
        secure = (number // len(kinds) + number % len(kinds)) % 2 == 1
        mode = "secure" if secure else "plain"
        place = folder / f"{number}"
        run = Victim(place, seed * 100000 + number, draw, secure, usual_s.get(mode, 0))
        whole = run.uninterrupted(place / "whole")
        if mode not in usual_s:
            begin = time.monotonic()
            require(run.finish(run.start(run__dir=place / "timed")).code == DONE, "an undisturbed run fails")
            usual_s[mode] = run.usual_s = time.monotonic() - begin
        begin = time.monotonic()
        try:
            fault(run)
            lines = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
            require([line["round"] for line in lines] == list(range(1, ROUNDS + 1)), "rounds are missing in the record, or there twice")
            require([line["model_sha256"] for line in lines] == whole, "another model than without the fault")
            require(json.loads((run.dir / "summary.json").read_text())["model_sha256"] == whole[-1], "another model in the summary")
        except Wrong as error:
            print(f"FAILED: fault {number}, {name}, {mode} (--seed {seed})\n{error}", flush=True)
            return 1
        counts[name, mode] += 1
        print(f"{number + 1}/{count}  {name}, {mode}: {time.monotonic() - begin:.1f} s", flush=True)
        shutil.rmtree(place)
    print(f"\n{'fault':<24}{'plain':>8}{'secure':>8}")
    for name in kinds:
        print(f"{name:<24}{counts[name, 'plain']:>8}{counts[name, 'secure']:>8}")
    print(f"{count} faults: no hang, nothing lost, every model right")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", default="", help="only kinds with this text in their name")
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        return campaign(given.inside, given.count, given.seed, given.kind)
    # A small file system of its own, so that a disk can be full.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="silosum-fault-"))
    words = [sys.executable, __file__, str(given.count), "--seed", str(given.seed), "--kind", given.kind, "--inside", str(folder)]
    script = f"mount -t tmpfs -o size=32m,mode=700 tmpfs {folder} && exec \"$@\""
    try:
        if subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", "true"], capture_output=True).returncode != 0:
            print("no right to mount a small file system: \"a full disk\" is left out")
            del KINDS["a full disk"]
            return campaign(folder, given.count, given.seed, given.kind)
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *words]).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
