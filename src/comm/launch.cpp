#include "comm/launch.hpp"

#include <cstdlib>

#include <fmt/format.h>

namespace silosum {

namespace {

// 0 where the variable is not set, or is no number.
int number_in(const std::string& variable) {
    const char* text = std::getenv(variable.c_str());
    return text == nullptr ? 0 : std::atoi(text);
}

// Of all groups of a heterogeneous job; a step has SLURM_NTASKS of its own, but these of the job.
int tasks_of_groups() {
    int tasks = 0;
    for (int group = 0; group < number_in("SLURM_HET_SIZE"); ++group) {
        tasks += number_in(fmt::format("SLURM_NTASKS_HET_GROUP_{}", group));
    }
    return tasks;
}

}  // namespace

Launch launch_of_this_process() {
    // mpirun inside a job has the last word: SLURM's variables are then those of the job, and may be more than what was asked of mpirun.
    if (const int tasks = number_in("OMPI_COMM_WORLD_SIZE"); tasks > 0) return {"mpirun", tasks, number_in("OMPI_COMM_WORLD_RANK") == 0};
    const int of_step = number_in("SLURM_STEP_NUM_TASKS");
    const int of_groups = tasks_of_groups();
    if (of_step > 0) return {"srun", of_groups > 0 ? of_groups : of_step, number_in("SLURM_PROCID") == 0};
    const int of_job = of_groups > 0 ? of_groups : number_in("SLURM_NTASKS");
    if (of_job > 0) return {"a job of SLURM", of_job, true};
    return {};
}

std::string problem_with(const Launch& launch, int ranks) {
    // More ranks than tasks: a launcher that srun starts once a node, as Hydra's, starts several of them in each task.
    if (launch.tasks == 0 || ranks >= launch.tasks) return "";
    if (launch.by == "a job of SLURM") {
        if (ranks > 1) return "";  // by another launcher, which may have been told to start fewer
        return fmt::format(
            "this job of SLURM has {} tasks, but {} process was started: start it with `srun --mpi=pmix`, with mpirun, or with "
            "jobs/train.sbatch",
            launch.tasks, ranks);
    }
    if (ranks > 1) {
        return fmt::format(
            "the groups of this heterogeneous job have {} tasks, but only {} of them were started together: start all with "
            "`srun --mpi=pmix --het-group=0-N`, as jobs/train_hetjob.sbatch does",
            launch.tasks, ranks);
    }
    return fmt::format(
        "{} started {} processes, but for MPI each is alone, and would train everything: this silosum was built with another MPI than {} "
        "knows; with srun, choose with --mpi (`srun --mpi=list` shows which there are; Open MPI takes pmix)",
        launch.by, launch.tasks, launch.by);
}

}  // namespace silosum
