#include "nccl_double.hpp"

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include <mpi.h>

#include "checker.hpp"
#include "device_memory.hpp"
#include "streams.hpp"

namespace {

struct Joined {
    MPI_Comm handle = MPI_COMM_NULL;
    int size = 1;
    bool is_broken = false;
};

struct {
    nccl_double::Fault fault = nccl_double::Fault::none;
    int living = 0;
    int aborted = 0;
    int ids = 0;
    int calls = 0;
    bool is_grouping = false;
    std::vector<std::function<void()>> group;
    cudaStream_t group_stream = nullptr;
} nccl;

std::size_t size_of(ncclDataType_t type) {
    return type == ncclUint8 ? 1 : type == ncclUint64 ? 8 : 4;
}

MPI_Datatype mpi_type(ncclDataType_t type) {
    switch (type) {
        case ncclUint8:
            return MPI_UINT8_T;
        case ncclUint32:
            return MPI_UINT32_T;
        case ncclUint64:
            return MPI_UINT64_T;
        case ncclFloat32:
            return MPI_FLOAT;
    }
    return MPI_DATATYPE_NULL;
}

std::vector<char> read(const void* from, std::size_t bytes) {
    std::vector<char> host(bytes);
    const emulator::DeviceAccess access;
    if (bytes > 0) std::memcpy(host.data(), from, bytes);
    return host;
}

void write(const std::vector<char>& host, void* to) {
    const emulator::DeviceAccess access;
    if (!host.empty()) std::memcpy(to, host.data(), host.size());
    emulator::checker::written(to, host.size());
}

}  // namespace

struct ncclComm {
    std::shared_ptr<Joined> joined = std::make_shared<Joined>();
    ncclResult_t state = ncclSuccess;
};

namespace {

// Puts the work into the stream. What it needs of the communicator lives on, as NCCL's does until an abort has come through.
ncclResult_t give(ncclComm_t comm, cudaStream_t stream, const std::function<void(MPI_Comm)>& work) {
    if (comm == nullptr) return ncclInvalidArgument;
    if (nccl.fault == nccl_double::Fault::breaks_later) {
        comm->joined->is_broken = true;
        comm->state = ncclRemoteError;
    }
    const auto run = [joined = comm->joined, work] {
        if (!joined->is_broken) work(joined->handle);
    };
    if (nccl.is_grouping) {
        nccl.group.emplace_back(run);
        nccl.group_stream = stream;
        return ncclSuccess;
    }
    if (emulator::give(stream, run) != cudaSuccess) return ncclUnhandledCudaError;
    if (comm->state != ncclSuccess || ++nccl.calls % 3 != 0) return ncclSuccess;
    comm->state = ncclInProgress;  // now and then a call that does not wait is not done yet
    return ncclInProgress;
}

void join(Joined& joined, int ranks, const ncclUniqueId& id, int rank) {
    int root = 0;
    int tag = 0;
    std::memcpy(&root, id.internal, sizeof(root));
    std::memcpy(&tag, id.internal + sizeof(root), sizeof(tag));
    int own = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &own);
    std::vector<int> members(static_cast<std::size_t>(ranks));
    const int mine[2] = {rank, own};
    if (own == root) {
        members[static_cast<std::size_t>(rank)] = own;
        for (int i = 1; i < ranks; ++i) {
            int other[2];
            MPI_Recv(other, 2, MPI_INT, MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            members[static_cast<std::size_t>(other[0])] = other[1];
        }
        for (const int member : members) {
            if (member != own) MPI_Send(members.data(), ranks, MPI_INT, member, tag, MPI_COMM_WORLD);
        }
    } else {
        MPI_Send(mine, 2, MPI_INT, root, tag, MPI_COMM_WORLD);
        MPI_Recv(members.data(), ranks, MPI_INT, root, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    MPI_Group world = MPI_GROUP_NULL;
    MPI_Group group = MPI_GROUP_NULL;
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_incl(world, ranks, members.data(), &group);
    MPI_Comm_create_group(MPI_COMM_WORLD, group, tag, &joined.handle);
    MPI_Group_free(&group);
    MPI_Group_free(&world);
    joined.size = ranks;
}

}  // namespace

namespace nccl_double {

void set_fault(Fault fault) {
    nccl.fault = fault;
}
int living() {
    return nccl.living;
}
int aborted() {
    return nccl.aborted;
}

}  // namespace nccl_double

ncclResult_t ncclGetVersion(int* version) {
    *version = 22809;
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    if (nccl.fault == nccl_double::Fault::no_id) return ncclUnhandledCudaError;
    int own = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &own);
    const int tag = 20000 + nccl.ids++ % 10000;
    std::memset(id->internal, 0, sizeof(id->internal));
    std::memcpy(id->internal, &own, sizeof(own));
    std::memcpy(id->internal + sizeof(own), &tag, sizeof(tag));
    return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
    switch (result) {
        case ncclUnhandledCudaError:
            return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
        case ncclRemoteError:
            return "remote process exited or there was a network error";
        default:
            return result == ncclSuccess ? "no error" : "invalid usage";
    }
}

const char* ncclGetLastError(ncclComm_t) {
    return nccl.fault == nccl_double::Fault::no_id ? "Cuda failure 'no CUDA-capable device is detected'" : "";
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
    *comm = new ncclComm;
    ++nccl.living;
    (*comm)->state = ncclInProgress;
    if (nccl.fault == nccl_double::Fault::joins_never) return config->blocking != 0 ? ncclInvalidUsage : ncclInProgress;
    join(*(*comm)->joined, ranks, id, rank);
    return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
    if (comm == nullptr) return ncclInvalidArgument;
    *error = comm->state;
    if (comm->state == ncclInProgress && comm->joined->handle != MPI_COMM_NULL) comm->state = ncclSuccess;
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    MPI_Barrier(comm->joined->handle);  // NCCL's end is a meeting too
    MPI_Comm_free(&comm->joined->handle);
    delete comm;
    --nccl.living;
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
    comm->joined->is_broken = true;
    delete comm;
    --nccl.living;
    ++nccl.aborted;
    return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
    nccl.is_grouping = true;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
    nccl.is_grouping = false;
    const auto all = std::move(nccl.group);
    nccl.group.clear();
    if (all.empty()) return ncclSuccess;
    const auto run = [all] {
        for (const auto& each : all) each();
    };
    return emulator::give(nccl.group_stream, run) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
    return give(comm, stream, [=](MPI_Comm handle) {
        auto host = read(from, count * size_of(type));
        MPI_Bcast(host.data(), static_cast<int>(count), mpi_type(type), root, handle);
        write(host, to);
    });
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t, ncclComm_t comm,
                           cudaStream_t stream) {
    return give(comm, stream, [=](MPI_Comm handle) {
        auto host = read(from, count * size_of(type));
        MPI_Allreduce(MPI_IN_PLACE, host.data(), static_cast<int>(count), mpi_type(type), MPI_SUM, handle);
        write(host, to);
    });
}

ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t, ncclComm_t comm,
                               cudaStream_t stream) {
    const std::size_t bytes = count * size_of(type);
    const auto ranks = static_cast<std::size_t>(comm == nullptr ? 1 : comm->joined->size);
    return give(comm, stream, [=](MPI_Comm handle) {
        const auto all = read(from, ranks * bytes);
        std::vector<char> own(bytes);
        MPI_Reduce_scatter_block(all.data(), own.data(), static_cast<int>(count), mpi_type(type), MPI_SUM, handle);
        write(own, to);
    });
}

ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream) {
    const std::size_t bytes = count * size_of(type);
    const auto ranks = static_cast<std::size_t>(comm == nullptr ? 1 : comm->joined->size);
    return give(comm, stream, [=](MPI_Comm handle) {
        const auto own = read(from, bytes);
        std::vector<char> all(ranks * bytes);
        MPI_Allgather(own.data(), static_cast<int>(bytes), MPI_BYTE, all.data(), static_cast<int>(bytes), MPI_BYTE, handle);
        write(all, to);
    });
}

ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
    // Sent while the ranks receive in the same group: as a message that waits for nobody.
    return give(comm, stream, [=](MPI_Comm handle) {
        const auto host = std::make_shared<std::vector<char>>(read(from, count * size_of(type)));
        static std::vector<std::pair<MPI_Request, std::shared_ptr<std::vector<char>>>> under_way;
        std::erase_if(under_way, [](auto& each) {
            int done = 0;
            MPI_Test(&each.first, &done, MPI_STATUS_IGNORE);
            return done != 0;
        });
        MPI_Request request = MPI_REQUEST_NULL;
        MPI_Isend(host->data(), static_cast<int>(count), mpi_type(type), peer, 1, handle, &request);
        under_way.emplace_back(request, host);
    });
}

ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
    return give(comm, stream, [=](MPI_Comm handle) {
        std::vector<char> host(count * size_of(type));
        MPI_Recv(host.data(), static_cast<int>(count), mpi_type(type), peer, 1, handle, MPI_STATUS_IGNORE);
        write(host, to);
    });
}
