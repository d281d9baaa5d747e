"""Jobs run over nodes, save before their time limit, go back into the queue and go on, to the bits of a run without a stop."""

import json
import os
import pathlib
import shutil
import signal
import stat
import unittest

import cluster
import harness

USAGE, STOPPED = 2, 75
TRAIN = cluster.JOBS / "train.sbatch"
# Between nodes a round takes some milliseconds: so many would take hours.
ENDLESS = ("--run.rounds", "1000000", "--eval.compare_local", "false", "--run.progress", "none")
THREE_NODES = ("--nodes", "3", "--ntasks-per-node", "1")


def setUpModule():
    cluster.SlurmTest.cluster = cluster.Cluster()
    TimeLimit.begin()  # it takes half a minute, in which the others run


def tearDownModule():
    cluster.SlurmTest.cluster.stop()
    shutil.rmtree(TimeLimit.place, ignore_errors=True)


class Runs(cluster.SlurmTest):
    def test_srun_and_mpirun_over_nodes_give_one_model(self):
        for launcher in ("srun", "mpirun"):
            job = self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, "--run.dir", f"runs/{launcher}", env={"SILOSUM_LAUNCHER": launcher})
            output = self.finish(job)
            self.assertIn("3 silos on 3 ranks", output)
            self.assertIn("updates travel by messages", output)
            self.check_uninterrupted(launcher)

    def test_submit_checks_shows_and_submits(self):
        text = self.cluster.run(harness.ROOT / "scripts" / "submit.sh", harness.PENGUINS, "--run.rounds", "3", "--", "--time", "10", cwd=self.folder)
        self.assertIn("memory of the largest rank", text)
        self.assertIn("sbatch --ntasks 3 --time 10", text)
        self.assertIn("3 silos on 3 ranks", self.finish(text.split()[-1]))
        self.assertEqual(self.check_uninterrupted()["rounds"], 3)

    def test_an_array_of_seeds_and_a_job_that_collects(self):
        text = self.cluster.run(harness.ROOT / "scripts" / "submit.sh", "--ranks", "2", "--seeds", "1-3%2", harness.PENGUINS, cwd=self.folder)
        collector = text.split("submitted job ")[2].split(",")[0]
        table = self.finish(collector).splitlines()
        self.assertEqual(len(table), 4, table)
        for seed in (1, 2, 3):
            self.check_uninterrupted(f"penguins-seed-{seed}", ["--run.seed", seed])
            self.assertIn(self.sha(f"runs/penguins-seed-{seed}")[:16], table[seed])

    def test_an_array_of_configurations(self):
        for name, lr in (("one", 0.1), ("two", 0.2)):
            text = harness.PENGUINS.read_text().replace("lr = 0.3", f"lr = {lr}").replace("data/penguins", str(harness.ROOT / "configs/data/penguins"))
            self.write_config(text, f"{name}.cfg")
        job = self.submit("--array", "0-1", cluster.JOBS / "sweep.sbatch", "one.cfg", "two.cfg", "--run.rounds", 4)
        self.finish(job)
        self.check_uninterrupted("one", ["--local.lr", "0.1"])
        self.check_uninterrupted("two", ["--local.lr", "0.2"])

    def test_all_groups_of_a_heterogeneous_job_are_one_run(self):
        output = self.finish(self.submit(cluster.JOBS / "train_hetjob.sbatch", harness.PENGUINS))
        self.assertIn("3 silos on 6 ranks", output)
        self.check_uninterrupted()
        output = self.finish(self.submit("--ntasks", 1, ":", "--ntasks", 2, TRAIN, harness.PENGUINS, "--run.dir", "runs/colon"))
        self.assertIn("3 silos on 3 ranks", output)
        self.check_uninterrupted("colon")

    def test_groups_of_ranks_and_masks_over_nodes(self):
        flags = ("--local.ranks_per_silo", "2", "--exchange.secure", "true", "--eval.compare_local", "false", "--run.rounds", "3")
        job = self.submit("--nodes", "2", "--ntasks-per-node", "3", TRAIN, harness.PENGUINS, *flags)
        self.assertIn("sums under masks", self.finish(job))
        self.train(ranks=2, name="plain", flags=["--local.ranks_per_silo", "2", "--eval.compare_local", "false", "--run.rounds", "3"])
        self.assertEqual(self.sha("runs/penguins"), self.sha("plain"))

    def test_shards_are_read_through_a_folder_of_the_node(self):
        stage = self.folder / "stage"
        job = self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, env={"SILOSUM_STAGE": str(stage)})
        self.assertIn(f"--data.stage {stage}", self.finish(job))
        self.check_uninterrupted()
        self.assertEqual(list(stage.iterdir()), [])

    def test_ranks_get_their_gpus_and_threads(self):
        program = self.folder / "program"
        program.write_text('#!/bin/sh\necho "GPUs $CUDA_VISIBLE_DEVICES, $*"\n')
        program.chmod(0o755)
        options = ("--nodes", "2", "--ntasks-per-node", "2", "--cpus-per-task", "3", "--gpus-per-node", "2")
        output = self.finish(self.submit(*options, TRAIN, harness.PENGUINS, env={"SILOSUM": str(program)}))
        lines = [line for line in output.splitlines() if line.startswith("GPUs ")]
        self.assertEqual(len(lines), 4, output)
        if os.geteuid() == 0:  # stand-ins for GPUs are devices, which only root can make
            self.assertTrue(all(line.startswith("GPUs 0,1, train ") for line in lines), output)
        self.assertTrue(all("--run.threads 3" in line for line in lines), output)


    def test_a_container_is_started_on_every_rank(self):
        """Not the real one: what it is asked to do."""
        stand_in = self.folder / "bin" / "apptainer"
        stand_in.parent.mkdir()
        stand_in.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "exec image.sif silosum" ] || exit 9\nshift 3\nexec {harness.SILOSUM} "$@"\n')
        stand_in.chmod(0o755)
        (self.folder / "image.sif").touch()
        env = {"SILOSUM_CONTAINER": "image.sif", "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}
        self.assertIn("3 silos on 3 ranks", self.finish(self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, env=env)))
        self.check_uninterrupted()


class Benchmarks(cluster.SlurmTest):
    SCRIPT = cluster.JOBS / "bench_aggregation.sbatch"
    FOUR = ("--nodes", "2", "--ntasks-per-node", "2")
    QUICK = ("--sizes", "4K,64K", "--repetitions", "2", "--silos", "4")

    def files(self):
        return sorted(path.name for path in (self.folder / "sweep").glob("*.json"))

    def test_parts_of_the_allocation_are_timed_in_turn_and_drawn(self):
        for launcher in ("srun", "mpirun"):
            shutil.rmtree(self.folder / "sweep", ignore_errors=True)
            output = self.finish(self.submit(*self.FOUR, self.SCRIPT, "sweep", *self.QUICK, env={"SILOSUM_LAUNCHER": launcher}))
            self.assertEqual(self.files(), ["nodes-1-ranks-1.json", "nodes-1-ranks-2.json", "nodes-2-ranks-2.json", "nodes-2-ranks-4.json"], output)
            for ranks, machines in ((1, 1), (2, 1), (2, 2), (4, 2)):
                document = json.loads((self.folder / "sweep" / f"nodes-{machines}-ranks-{ranks}.json").read_text())
                self.assertTrue(document["placement"].startswith(f"{ranks} rank{'s' * (ranks > 1)} on {machines} machine"), document["placement"])
                self.assertEqual([line.get("wrong_words", 0) for line in document["lines"]], [0] * 10)
            self.assertIn("Time by ranks", (self.folder / "sweep" / "report.html").read_text())

    def test_a_job_that_comes_back_goes_on_with_the_files_that_are_missing(self):
        # The first step is done, the second would take for ever.
        slow = self.write_config(f"""#!/bin/bash
case $*-$SLURM_RESTART_COUNT in *ranks-2.json-) touch started; exec sleep 600 ;; *) exec {harness.SILOSUM} "$@" ;; esac
""", "slow")
        slow.chmod(0o755)
        words = (*self.FOUR, self.SCRIPT, "sweep", "--steps", "1x1,1x2", *self.QUICK)
        job = self.submit(*words, env={"SILOSUM": str(slow)})
        harness.wait_until((self.folder / "started").exists, 60, "the second step")
        first = (self.folder / "sweep" / "nodes-1-ranks-1.json").stat().st_mtime_ns
        self.cluster.run("scancel", "--signal", "USR1", "--batch", job)
        output = self.finish(job)
        for word in ("goes back into the queue", "restart 1", "nodes-1-ranks-1.json is there"):
            self.assertIn(word, output)
        self.assertEqual(self.files(), ["nodes-1-ranks-1.json", "nodes-1-ranks-2.json"])
        self.assertEqual((self.folder / "sweep" / "nodes-1-ranks-1.json").stat().st_mtime_ns, first)
        self.assertTrue((self.folder / "sweep" / "report.html").exists())

        output = self.finish(self.submit(*words, "--ring", "64"), "FAILED", USAGE)
        self.assertIn("choose another folder", output)


class Stops(cluster.SlurmTest):
    def test_a_requeued_job_goes_on_to_the_same_bits(self):
        for name, flags in (("plain", ()), ("secure", ("--exchange.secure", "true"))):
            job = self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, *ENDLESS, "--run.dir", f"runs/{name}", *flags)
            self.wait_for_rounds(15, name, job)
            self.cluster.run("scontrol", "requeue", job)
            harness.wait_until(lambda: "restart 1" in self.output(job), 60, "the second start")
            before = self.rounds(name)
            self.wait_for_rounds(before + 15, name, job)
            self.cluster.run("scancel", job)
            output = self.finish(job, "CANCELLED", STOPPED)
            self.assertIn("resumed after round", output)
            summary = self.check_uninterrupted(name)
            self.assertEqual(summary["slurm"], {"job": job, "restarts": 1})
            self.assertEqual({line["restarts"] for line in self.metrics(f"runs/{name}")}, {0, 1})

    def test_a_warned_job_saves_requeues_itself_and_goes_on(self):
        groups = (cluster.JOBS / "train_hetjob.sbatch",)
        for name, script, launcher in (("srun", (*THREE_NODES, TRAIN), "srun"), ("mpirun", (*THREE_NODES, TRAIN), "mpirun"), ("groups", groups, "srun")):
            job = self.submit(*script, harness.PENGUINS, *ENDLESS, "--run.dir", f"runs/{name}", env={"SILOSUM_LAUNCHER": launcher})
            self.wait_for_rounds(15, name, job)
            self.cluster.run("scancel", "--signal", "USR1", "--batch", job)
            harness.wait_until(lambda: "restart 1" in self.output(job), 60, "the second start")
            self.assertIn("goes back into the queue", self.output(job))
            self.assertEqual(self.summary(f"runs/{name}")["stop_reason"], "signal 10")
            self.wait_for_rounds(self.rounds(name) + 15, name, job)
            # Cancelled, it leaves a checkpoint that is good: by itself with srun; mpirun ends its ranks at once.
            self.cluster.run("scancel", job)
            self.wait(job)
            self.check_goes_on(name)

    def check_goes_on(self, name):
        newest = max((self.folder / "runs" / name / "checkpoints").glob("round-*/manifest.json")).parent
        rounds = int(newest.name.removeprefix("round-")) + 3
        result = harness.run(["resume", harness.PENGUINS, "--run.dir", self.folder / "runs" / name, "--run.rounds", rounds, "--eval.compare_local", "false"], 2)
        self.assertEqual(result.code, 0, str(result))
        self.assertIn(f"resumed after round {rounds - 3}", result.out)
        self.check_uninterrupted(name)

    def test_a_job_whose_rank_was_killed_goes_on_by_itself(self):
        job = self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, *ENDLESS)
        self.wait_for_rounds(15, job=job)
        self.kill_a_rank()
        harness.wait_until(lambda: "restart 1" in self.output(job), 60, "the second start")
        self.assertIn("this start has saved a new checkpoint", self.output(job))
        self.wait_for_rounds(self.rounds() + 15, job=job)
        self.cluster.run("scancel", job)
        self.finish(job, "CANCELLED", STOPPED)
        self.check_uninterrupted()

    def test_a_job_whose_rank_dies_before_anything_is_saved_ends(self):
        job = self.submit(*THREE_NODES, TRAIN, harness.PENGUINS, *ENDLESS, "--checkpoint.every", "0")
        self.wait_for_rounds(3, job=job)
        self.kill_a_rank()
        self.assertEqual(self.wait(job)[0][0], "FAILED")
        self.assertIn("has saved no checkpoint", self.output(job))

    def kill_a_rank(self):
        """The one of this test: others have their runs elsewhere."""
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                is_rank = path.read_bytes().startswith(harness.SILOSUM.encode()) and path.parent.joinpath("cwd").readlink() == self.folder
            except OSError:
                continue
            if is_rank:
                os.kill(int(path.parent.name), signal.SIGKILL)
                return
        raise AssertionError("no rank found")

    def warned(self, program):
        """A job of this program, which is warned once it has made the file `started`, and ends with 75."""
        program.chmod(0o755)
        job = self.submit(TRAIN, harness.PENGUINS, env={"SILOSUM": program})
        harness.wait_until((self.folder / "started").exists, 60, "the ranks")
        self.cluster.run("scancel", "--signal", "USR1", "--batch", job)
        self.assertEqual(self.wait(job), [("FAILED", 75)], self.output(job))
        return job

    def test_a_warned_job_without_anything_saved_ends(self):
        """It would be warned again and again before its first round is over."""
        program = self.write_config("#!/bin/sh\ntrap 'exit 75' USR1\ntouch started\nwhile :; do sleep 0.1; done\n", "slow")
        job = self.warned(program)
        self.assertIn("give the job more time", self.output(job))
        self.assertNotIn("goes back into the queue", self.output(job))

    def test_a_signal_that_the_launcher_forgets_is_sent_again(self):
        """As where it is about to start the ranks."""
        program = self.write_config("#!/bin/sh\ntrap 'echo told; told=$told.' USR1\ntouch started\nuntil [ \"$told\" = .. ]; do sleep 0.1; done\nexit 75\n", "deaf")
        job = self.warned(program)
        self.assertEqual(self.output(job).count("told\n"), 2, self.output(job))

    def test_a_launcher_that_stays_after_its_run_is_ended(self):
        """A stand-in, for the real ones lock themselves up once in hundreds of times. The job ends as the run did."""
        stand_in = self.folder / "bin" / "srun"
        stand_in.parent.mkdir()
        real = shutil.which("srun")
        stand_in.write_text(f'#!/bin/sh\ntrap "kill -USR1 \\$!" USR1\n{real} "$@" &\nwait $! || wait $!\nwhile :; do sleep 0.1; done\n')
        stand_in.chmod(0o755)
        env = {"PATH": f"{stand_in.parent}:{os.environ['PATH']}", "SILOSUM_END_WAIT": "1"}
        self.assertIn("the run is over, but srun does not end", self.finish(self.submit("--ntasks", "2", TRAIN, harness.PENGUINS, env=env)))
        self.check_uninterrupted()
        job = self.submit("--ntasks", "2", TRAIN, harness.PENGUINS, *ENDLESS, "--run.dir", "runs/warned", env=env)
        self.wait_for_rounds(15, "warned", job)
        self.cluster.run("scancel", "--signal", "USR1", "--batch", job)
        harness.wait_until(lambda: "restart 1" in self.output(job), 60, "the second start")
        self.assertIn("ranks ended with code 75", self.output(job))
        self.wait_for_rounds(self.rounds("warned") + 15, "warned", job)
        self.cluster.run("scancel", job)
        self.wait(job)  # the stand-in ends at once, the ranks save
        harness.wait_until(lambda: self.summary("runs/warned")["stop_reason"] == "signal 15", 20, "the end of the ranks")
        self.check_uninterrupted("warned")

    def test_a_job_goes_on_where_a_node_is_lost(self):
        if os.geteuid() != 0:
            self.skipTest("a node cannot be killed without namespaces")
        job = self.submit("--nodes", "2", "--ntasks-per-node", "1", "--exclude", "node1,node2", TRAIN, harness.PENGUINS, *ENDLESS)
        self.wait_for_rounds(15, job=job)
        self.cluster.run(cluster.SCRIPT, "signal", "node4", "KILL")
        self.cluster.run("scontrol", "update", "nodename=node4", "state=down", "reason=test")
        harness.wait_until(lambda: "PENDING" in self.cluster.run("squeue", "--noheader", "--job", job, "--format", "%T"), 60, "the queue")
        self.cluster.run("scontrol", "update", f"jobid={job}", "ExcNodeList=")
        harness.wait_until(lambda: "restart 1" in self.output(job), 60, "the second start")
        self.wait_for_rounds(self.rounds() + 15, job=job)
        self.cluster.run("scancel", job)
        self.finish(job, "CANCELLED", STOPPED)
        self.check_uninterrupted()
        self.cluster.run(cluster.SCRIPT, "revive", "node4")
        harness.wait_until(lambda: self.cluster.run("sinfo", "--noheader", "--nodes", "node4", "--format", "%t").strip() == "idle", 60, "the node")

    def test_the_second_of_two_jobs_on_one_folder_leaves(self):
        first = self.submit("--ntasks", "2", TRAIN, harness.PENGUINS, *ENDLESS)
        self.wait_for_rounds(5, job=first)
        second = self.submit("--ntasks", "2", TRAIN, harness.PENGUINS, *ENDLESS)
        output = self.finish(second, "FAILED", USAGE)
        self.assertRegex(output, rf"runs/penguins is in use by process \d+ on node\d, job {first}; wait for it to end, or choose another folder")
        self.cluster.run("scancel", first)
        self.finish(first, "CANCELLED", STOPPED)
        self.check_uninterrupted()

    def test_what_a_run_writes_is_for_its_user_alone(self):
        self.finish(self.submit("--ntasks", "2", TRAIN, harness.PENGUINS))
        for path in (self.folder / "runs").rglob("*"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)


class Refusals(cluster.SlurmTest):
    def refused(self, message, *words, env=None, state="FAILED", code=USAGE):
        output = self.finish(self.submit(*words, env=env), state, code)
        self.assertIn(message, output)
        self.assertEqual(sum("silosum: " in line for line in output.splitlines()), 1, output)

    def test_jobs_say_what_is_wrong_once_and_are_not_tried_again(self):
        self.refused("there is no configuration nowhere.cfg", TRAIN, "nowhere.cfg")
        self.refused("usage: sbatch", TRAIN)
        self.refused("a job always goes on with the run in its folder", TRAIN, harness.PENGUINS, "--run.overwrite", "true")
        self.refused('unknown key "local.lrr"', "--ntasks", "2", TRAIN, harness.PENGUINS, "--local.lrr", "1")
        self.refused("SILOSUM=/nowhere: there is no such program", TRAIN, harness.PENGUINS, env={"SILOSUM": "/nowhere"})
        self.refused("known are srun and mpirun", TRAIN, harness.PENGUINS, env={"SILOSUM_LAUNCHER": "aprun"})
        self.refused("local.ranks_per_silo", "--ntasks", "3", TRAIN, harness.PENGUINS, "--local.ranks_per_silo", "2")
        bench = cluster.JOBS / "bench_aggregation.sbatch"
        self.refused("3x1 does not fit into this job, which has 1 nodes and 2 ranks on each", "--ntasks", "2", bench, "sweep", "--steps", "3x1")
        self.refused("must be NODESxRANKS_ON_EACH", bench, "sweep", "--steps", "3")
        self.refused("--json: a sweep has a file of its own", bench, "sweep", "--json", "one.json")
        self.refused('"--size"; did you mean "--sizes"', bench, "--size", "4K")
        self.refused("--array", cluster.JOBS / "sweep.sbatch", harness.PENGUINS)
        self.refused("first group of a heterogeneous job only", cluster.JOBS / "train_hetjob.sbatch", harness.PENGUINS, env={"SILOSUM_LAUNCHER": "mpirun"})

    def wrapped(self, *options, command):
        return self.submit(*options, "--output", "wrapped-%j.out", "--wrap", f"{command} {harness.SILOSUM} train {harness.PENGUINS}")

    def test_processes_that_are_not_one_job_are_refused(self):
        four = ("--nodes", "2", "--ntasks-per-node", "2")
        # As with an MPI library that does not know this way to start: Open MPI looks at other variables of SLURM, and would not start at all.
        # Each with a folder of its own for Open MPI, of which two that start at once may want to make the same one.
        hidden = (
            f"srun --mpi=none sh -c 'mkdir {self.folder}/$SLURM_PROCID && exec env -i TMPDIR={self.folder}/$SLURM_PROCID "
            "PATH=$PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
            'SLURM_STEP_NUM_TASKS=$SLURM_STEP_NUM_TASKS SLURM_PROCID=$SLURM_PROCID "$@"\' sh'
        )
        for options, command, message in (
            (four, "", "this job of SLURM has 4 tasks, but 1 process was started"),
            (four, hidden, "srun started 4 processes, but for MPI each is alone"),
            (("--ntasks", "1", ":", "--ntasks", "2"), "", "this job of SLURM has 3 tasks"),
            (("--ntasks", "2", ":", "--ntasks", "2"), "srun --mpi=pmix", "have 4 tasks, but only 2 of them were started together"),
        ):
            output = self.finish(self.wrapped(*options, command=command), "FAILED", USAGE)
            self.assertIn(message, output)
            self.assertEqual(output.count("silosum: "), 1, output)

    def test_wrong_counts_are_caught_before_the_queue(self):
        submit = harness.ROOT / "scripts" / "submit.sh"
        for words, message in (
            (("--ranks", "3", harness.PENGUINS, "--local.ranks_per_silo", "2"), "local.ranks_per_silo"),
            (("--ranks", "0", harness.PENGUINS), "--ranks 0: must be a whole number"),
            ((harness.PENGUINS, "--local.lrr", "1"), 'unknown key "local.lrr"'),
            (("nowhere.cfg",), "there is no configuration nowhere.cfg"),
            ((harness.PENGUINS, "--", "--ntasks", "3"), "say --ranks N"),
        ):
            self.assertIn(message, self.cluster.run(submit, *words, cwd=self.folder, code=USAGE))
        # What the site does not have.
        self.assertIn("artition", self.cluster.run(submit, harness.PENGUINS, "--", "--partition", "nowhere", cwd=self.folder, code=1))
        self.assertEqual(self.cluster.run("squeue", "--noheader", "--name", "nowhere"), "")


class Clusters(cluster.SlurmTest):
    def test_a_folder_that_somebody_else_may_have_made_is_refused(self):
        (self.folder / "there").mkdir()
        (self.folder / "link").symlink_to("there")
        for verb in ("start", "stop", "status"):
            told = self.cluster.run(cluster.SCRIPT, verb, env={"SLURM_LOCAL_DIR": self.folder / "link"}, code=2)
            self.assertIn("is not a folder of this user; set SLURM_LOCAL_DIR", told)


class TimeLimit(cluster.SlurmTest):
    """A real limit of a minute: SLURM looks twice a minute, and warns when less than 45 s are left."""

    @classmethod
    def begin(cls):
        cls.place = pathlib.Path(harness.tempfile.mkdtemp(prefix="silosum-test-"))
        words = ("sbatch", "--parsable", *THREE_NODES, "--time", "1", "--signal", "B:USR1@45", TRAIN, harness.PENGUINS, *ENDLESS)
        cls.job = cls.cluster.run(*words, cwd=cls.place).strip()

    def test_a_job_that_runs_out_of_time_saves_and_goes_on(self):
        self.folder = self.place
        harness.wait_until(lambda: "restart 1" in self.output(self.job), 100, "the second start")
        self.assertIn("SIGUSR1: ranks are told to save and stop", self.output(self.job))
        self.wait_for_rounds(self.rounds() + 15, job=self.job)
        self.cluster.run("scancel", self.job)
        self.finish(self.job, "CANCELLED", STOPPED)
        self.check_uninterrupted()


if __name__ == "__main__":
    unittest.main()
