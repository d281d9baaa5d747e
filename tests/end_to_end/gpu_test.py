"""Training on a GPU, here the emulated one: the whole program, linked with emulated kernels, under mpirun."""

import json
import unittest

import harness

CNN = """
[run]
rounds = 3
device = cuda
[data]
shards = shards
[model]
name = layers
layers = conv 3 3 pad=1, relu, maxpool 2, conv 5 3, tanh, flatten, dropout 0.2, dense 11, relu, dense outputs
[local]
batch_size = 7
lr = 0.05
optimizer = adam
state = keep
[checkpoint]
every = 1
"""


class Gpu(harness.EndToEnd):
    def test_the_bits_are_the_same_on_any_number_of_ranks_and_after_a_resume(self):
        self.image_shards(3, split="dirichlet:0.5")
        config = self.write_config(CNN)
        shas = set()
        for ranks in (1, 3, 4):
            self.train(config, ranks, f"{ranks}")
            shas.add(self.sha(f"{ranks}"))
        self.train(config, 2, "stopped", ["--run.rounds", 1])
        self.train(config, 3, "stopped", ["--run.resume", "auto"])
        shas.add(self.sha("stopped"))
        self.assertEqual(len(shas), 1)
        self.assertIn("sm_90", self.summary("1")["isa"])

    def test_groups_of_ranks_train_a_silo_with_the_same_bits_anywhere(self):
        self.image_shards(3, split="dirichlet:0.5")
        config = self.write_config(CNN)
        shas = set()
        for ranks in (2, 6):
            self.train(config, ranks, f"{ranks}", ["--local.ranks_per_silo", 2, "--run.rounds", 1])
            shas.add(self.sha(f"{ranks}"))
        self.assertEqual(len(shas), 1)

    def test_masks_change_no_bit(self):
        flags = ["--run.device", "cuda", "--run.rounds", 2, "--eval.compare_local", "false"]
        self.train(ranks=3, name="plain", flags=flags)
        self.train(ranks=3, name="masked", flags=[*flags, "--exchange.secure", "true"])
        self.assertEqual(self.sha("plain"), self.sha("masked"))

    def test_sums_over_gpus_change_no_bit(self):
        device = ["--run.device", "cuda"]
        flags = [*device, "--run.rounds", 2, "--eval.compare_local", "false"]
        nccl = ["--exchange.transport", "nccl"]
        on_gpus = [*flags, *nccl]
        self.train(ranks=3, name="host", flags=flags)
        self.train(ranks=3, name="plain", flags=on_gpus)
        self.train(ranks=2, name="resumed", flags=[*device, *nccl, "--run.rounds", 1, "--eval.compare_local", "false"])
        self.train(ranks=4, name="resumed", flags=[*on_gpus, "--run.resume", "auto"])
        self.train(ranks=3, name="masked", flags=[*on_gpus, "--exchange.secure", "true"])
        self.assertEqual({self.sha(name) for name in ("host", "plain", "resumed", "masked")}, {self.sha("host")})
        # Silos alone are trained with models of the host, after rounds with models of the GPU.
        self.train(ranks=2, name="compared", flags=[*device, *nccl, "--run.rounds", 2])
        self.train(ranks=2, name="compared on host", flags=[*device, "--run.rounds", 2])
        self.assertEqual(self.summary("compared")["alone"], self.summary("compared on host")["alone"])
        self.assertIn("NCCL", self.summary("masked")["transport"])

    def test_sums_over_gpus_need_a_gpu_for_each_rank(self):
        flags = ["--exchange.transport", "nccl", "--run.rounds", 1]
        crowded = self.train(ranks=5, name="crowded", code=2, flags=["--run.device", "cuda", *flags])
        self.assertIn("share one", crowded.err)
        without = self.train(ranks=2, name="without", code=2, flags=["--run.device", "cpu", *flags])
        self.assertIn("needs run.device = cuda", without.err)
        tagged = self.train(ranks=2, name="tagged", code=2, flags=["--run.device", "cuda", *flags, "--exchange.integrity", "tags", "--exchange.secure", "true", "--exchange.identities", "throwaway"])
        self.assertIn("exchange.integrity", tagged.err)

    def test_no_word_of_a_benchmark_on_gpus_is_wrong(self):
        options = ["--device", "cuda", "--exchange", "exact,secure", "--sizes", "1003p,3001p", "--part", "2000p", "--silos", "4", "--ring", "32,64"]
        for ranks in (1, 2, 4):
            result = harness.run(["bench", *options, "--repetitions", "1", "--json", "bench.json"], ranks=ranks, cwd=self.folder)
            self.assertEqual(result.code, 0, str(result))
            self.assertIn("our sums on GPUs: CUDA", result.out)
            document = json.loads((self.folder / "bench.json").read_text())
            self.assertIn("sm_90", document["sums_on"])
            self.assertEqual([line["wrong_words"] for line in document["lines"] if "ring_bits" in line], [0] * 8, result.out)
        for more, text in ((["--transport", "shared"], "words travel by NCCL"), (["--integrity", "tags"], "does not go with --device cuda")):
            self.assertIn(text, harness.run(["bench", *options, *more], ranks=2).err)
        self.assertIn("start fewer", harness.run(["bench", *options], ranks=5).err)

    def test_a_benchmark_on_gpus_times_the_sum_of_nccl_on_the_same_gpus(self):
        options = ["--device", "cuda", "--sizes", "1003p,3001p", "--part", "2000p", "--repetitions", "3", "--json", "bench.json", "--csv", "bench.csv"]
        for ranks in (2, 3):
            result = harness.run(["bench", *options], ranks=ranks, cwd=self.folder)
            self.assertEqual(result.code, 0, str(result))
            lines = json.loads((self.folder / "bench.json").read_text())["lines"]
            nccl = [line for line in lines if line["exchange"] == "nccl-allreduce"]
            self.assertEqual([(line["wrong_words"], line["repetitions"]) for line in nccl], [(0, 3)] * 2, result.out)
            self.assertEqual([line.get("part_parameters") for line in nccl], [None, 2000])
            self.assertEqual([line["of_nccl_allreduce"] for line in nccl], [1, 1])
            for line in lines:
                beside = next(other for other in nccl if other["bytes"] == line["bytes"])
                self.assertAlmostEqual(line["of_nccl_allreduce"], line["median_s"] / beside["median_s"])
            self.assertIn(",of_nccl_allreduce,", (self.folder / "bench.csv").read_text())

    def test_the_sum_of_nccl_is_of_gpus(self):
        options = ["--sizes", "1003p", "--repetitions", "1"]
        refused = harness.run(["bench", *options, "--exchange", "exact,nccl-allreduce"], ranks=2)
        self.assertEqual(refused.code, 2)
        self.assertIn("--exchange nccl-allreduce: is timed on GPUs; give --device cuda", refused.err)
        self.assertEqual(refused.err.count("silosum:"), 1, refused.err)
        by_default = harness.run(["bench", *options], ranks=2)
        self.assertEqual(by_default.code, 0, str(by_default))
        self.assertIn("allreduce-kept", by_default.out)
        self.assertNotIn("nccl-allreduce", by_default.out)

    def test_a_run_goes_on_only_on_the_device_that_it_began_on(self):
        self.train(ranks=1, name="run", flags=["--run.device", "cuda", "--run.rounds", 1, "--eval.compare_local", "false"])
        result = self.train(ranks=1, name="run", code=2, flags=["--run.device", "cpu", "--run.rounds", 2, "--run.resume", "auto", "--eval.compare_local", "false"])
        self.assertIn("sm_90", result.err)

    def test_tensor_cores_have_bits_of_their_own_and_are_asked_for(self):
        flags = ["--run.rounds", 1, "--eval.compare_local", "false", "--exchange.range", "agreed"]
        gpu = [*flags, "--run.device", "cuda"]
        self.train(ranks=1, name="float32", flags=gpu)
        self.train(ranks=1, name="tf32", flags=[*gpu, "--local.math", "tf32"])
        self.train(ranks=3, name="again", flags=[*gpu, "--local.math", "tf32"])
        self.assertEqual(self.sha("tf32"), self.sha("again"))
        self.assertNotEqual(self.sha("tf32"), self.sha("float32"))
        self.assertIn("sm_90 tf32", self.summary("tf32")["isa"])
        refused = self.train(ranks=2, name="cpu", code=2, flags=[*flags, "--run.device", "cpu", "--local.math", "tf32"])
        self.assertIn("local.math = tf32 is of GPUs", refused.err)

    def test_the_plan_knows_when_a_gpu_is_too_small(self):
        plan = ["plan", harness.PENGUINS, "--run.device", "cuda"]
        self.assertIn("memory of a GPU for the largest rank", harness.run(plan).out)
        layers = ["--model.name", "layers", "--model.layers", "dense 9000, relu, dense outputs"]
        refused = harness.run([*plan, *layers], env={"SILOSUM_CUDA_MIB": "1"})
        self.assertEqual(refused.code, 2)
        self.assertIn("no GPU here has more than 1.0 MiB", refused.err)

    def test_auto_takes_the_gpu_and_devices_shows_it(self):
        self.train(ranks=2, name="run", flags=["--run.rounds", 1, "--eval.compare_local", "false"])
        self.assertIn("CUDA", self.summary("run")["isa"])
        shown = harness.run(["devices"])
        self.assertEqual(shown.code, 0)
        self.assertIn("cuda:0", shown.out)


if __name__ == "__main__":
    unittest.main()
