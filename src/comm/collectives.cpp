#include "comm/collectives.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>

#include "base/error.hpp"

namespace silosum {

namespace {

// What MPI reads or writes for us. After a wait that was given up it may still do so, for as long as the program lasts: then it is never
// freed.
template <class T>
class Lasting {
public:
    explicit Lasting(T value) : value_(std::make_unique<T>(std::move(value))) {}
    ~Lasting() {
        if (!done_) (void)value_.release();
    }
    Lasting(const Lasting&) = delete;
    Lasting& operator=(const Lasting&) = delete;
    T& operator*() { return *value_; }
    T* operator->() { return value_.get(); }
    /// When all is done.
    T take() {
        done_ = true;
        return std::move(*value_);
    }

private:
    std::unique_ptr<T> value_;
    bool done_ = false;
};

// Of values that are copied for that.
constexpr std::size_t largest_copy = std::size_t{1} << 22;

template <class T, class Piece>
void for_pieces(std::span<T> values, std::size_t largest, Piece&& piece) {
    for (std::size_t done = 0; done < values.size(); done += largest) {
        piece(values.subspan(done, std::min(largest, values.size() - done)));
    }
}

template <class T>
void all_reduce(const Communicator& communicator, std::span<T> values, MPI_Datatype type, MPI_Op operation, const char* what) {
    for_pieces(values, std::min(largest_copy, communicator.largest_count()), [&](std::span<T> piece) {
        Lasting<std::vector<T>> copy({piece.begin(), piece.end()});
        MPI_Request request = MPI_REQUEST_NULL;
        mpi_check(
            MPI_Iallreduce(MPI_IN_PLACE, copy->data(), static_cast<int>(piece.size()), type, operation, communicator.handle(), &request));
        wait(request, communicator, what);
        std::ranges::copy(copy.take(), piece.begin());
    });
}

template <class Word>
void check_wrapping(const Communicator& communicator, int bits) {
    for (const std::size_t length : {1, 7, 64, 1000, 4097}) {
        std::vector<Word> words(length);
        std::vector<Word> expected(length, 0);
        for (int rank = 0; rank < communicator.size(); ++rank) {
            for (std::size_t i = 0; i < length; ++i) {
                // Near the top of the range, so that any two ranks already overflow.
                const Word word = static_cast<Word>(~Word{0} - 3 * i - static_cast<Word>(rank));
                expected[i] = static_cast<Word>(expected[i] + word);
                if (rank == communicator.rank()) words[i] = word;
            }
        }
        all_reduce_sum(communicator, std::span<Word>(words));
        require<RuntimeError>(words == expected, "this MPI library does not add {}-bit integers with wrap-around; use another build", bits);
    }
}

}  // namespace

void barrier(const Communicator& communicator) {
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Ibarrier(communicator.handle(), &request));
    wait(request, communicator, "all ranks to reach a barrier");
}

void sleep_until_barrier(const Communicator& communicator) {
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Ibarrier(communicator.handle(), &request));
    const auto is_done = [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        int done = 0;
        mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
        return done != 0;
    };
    poll(is_done, communicator, "all ranks to reach a barrier");
}

void broadcast_bytes(const Communicator& communicator, std::span<std::byte> bytes, int root) {
    for_pieces(bytes, std::min(largest_copy, communicator.largest_count()), [&](std::span<std::byte> piece) {
        Lasting<std::vector<std::byte>> copy({piece.begin(), piece.end()});
        MPI_Request request = MPI_REQUEST_NULL;
        mpi_check(MPI_Ibcast(copy->data(), static_cast<int>(piece.size()), MPI_BYTE, root, communicator.handle(), &request));
        wait(request, communicator, "a broadcast");
        std::ranges::copy(copy.take(), piece.begin());
    });
}

void all_reduce_sum(const Communicator& communicator, std::span<std::uint32_t> values) {
    all_reduce(communicator, values, MPI_UINT32_T, MPI_SUM, "a sum over all ranks");
}
void all_reduce_sum(const Communicator& communicator, std::span<std::uint64_t> values) {
    all_reduce(communicator, values, MPI_UINT64_T, MPI_SUM, "a sum over all ranks");
}
void all_reduce_max(const Communicator& communicator, std::span<double> values) {
    all_reduce(communicator, values, MPI_DOUBLE, MPI_MAX, "the largest value of all ranks");
}
void all_reduce_max(const Communicator& communicator, std::span<std::uint64_t> values) {
    all_reduce(communicator, values, MPI_UINT64_T, MPI_MAX, "the largest value of all ranks");
}
void all_reduce_min(const Communicator& communicator, std::span<double> values) {
    all_reduce(communicator, values, MPI_DOUBLE, MPI_MIN, "the smallest value of all ranks");
}
void all_reduce_min(const Communicator& communicator, std::span<std::uint64_t> values) {
    all_reduce(communicator, values, MPI_UINT64_T, MPI_MIN, "the smallest value of all ranks");
}

std::size_t all_gather_bytes(const Communicator& communicator, const Slices& slices, std::size_t bytes_each, std::byte* whole) {
    const int me = communicator.rank();
    const int ranks = communicator.size();
    Transfers transfers(communicator);
    for (int distance = 1; distance < ranks; ++distance) {
        const int from = (me + ranks - distance) % ranks;
        transfers.receive(whole + slices.begin(from) * bytes_each, slices.size(from) * bytes_each, from);
    }
    for (int distance = 1; distance < ranks; ++distance) {
        transfers.send(whole + slices.begin(me) * bytes_each, slices.size(me) * bytes_each, (me + distance) % ranks);
    }
    transfers.wait("the slices of other ranks");
    return slices.size(me) * bytes_each * static_cast<std::size_t>(ranks - 1);
}

std::vector<std::byte> all_gather_bytes(const Communicator& communicator, std::span<const std::byte> mine) {
    const std::size_t ranks = static_cast<std::size_t>(communicator.size());
    require<RuntimeError>(mine.size() * ranks <= communicator.largest_count() || ranks == 1,
                          "gathering {} bytes from each of {} ranks is more than one message may hold", mine.size(), ranks);
    Lasting<std::vector<std::byte>> sent({mine.begin(), mine.end()});
    Lasting<std::vector<std::byte>> received(std::vector<std::byte>(mine.size() * ranks));
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Iallgather(sent->data(), static_cast<int>(mine.size()), MPI_BYTE, received->data(), static_cast<int>(mine.size()),
                             MPI_BYTE, communicator.handle(), &request));
    wait(request, communicator, "a word from every rank");
    (void)sent.take();
    return received.take();
}

void broadcast_text(const Communicator& communicator, std::string& text, int root) {
    std::uint64_t size = text.size();
    broadcast(communicator, std::span<std::uint64_t>(&size, 1), root);
    text.resize(size);
    broadcast(communicator, std::span<char>(text), root);
}

std::vector<std::string> gather_text(const Communicator& communicator, const std::string& text, int root) {
    const auto sizes = all_gather(communicator, static_cast<std::uint64_t>(text.size()));
    Lasting<std::string> own(text);
    Lasting<std::vector<std::string>> texts({});
    Transfers transfers(communicator);
    if (communicator.rank() == root) {
        for (const auto size : sizes) texts->emplace_back(size, ' ');
        for (int rank = 0; rank < communicator.size(); ++rank) {
            auto& place = (*texts)[static_cast<std::size_t>(rank)];
            if (rank == root) {
                place = text;
            } else {
                transfers.receive(place.data(), place.size(), rank);
            }
        }
    } else {
        transfers.send(own->data(), own->size(), root);
    }
    transfers.wait("the texts of other ranks");
    (void)own.take();
    return texts.take();
}

std::vector<std::string> all_gather_text(const Communicator& communicator, const std::string& text) {
    return all_gather_text(communicator, text, all_gather(communicator, static_cast<std::uint64_t>(text.size())));
}

std::vector<std::string> all_gather_text(const Communicator& communicator, const std::string& text,
                                         const std::vector<std::uint64_t>& sizes) {
    constexpr std::uint64_t most_bytes = std::uint64_t{1} << 32;
    for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
        require<RuntimeError>(sizes[rank] <= most_bytes, "rank {} announces a message of {} bytes to all others; at most {} are taken",
                              rank, sizes[rank], most_bytes);
    }
    Lasting<std::vector<std::string>> texts({});
    for (const auto size : sizes) texts->emplace_back(size, ' ');
    std::string& own = (*texts)[static_cast<std::size_t>(communicator.rank())];
    own = text;
    Transfers transfers(communicator);
    for (int rank = 0; rank < communicator.size(); ++rank) {
        auto& place = (*texts)[static_cast<std::size_t>(rank)];
        if (rank == communicator.rank()) continue;
        transfers.receive(place.data(), place.size(), rank);
        transfers.send(own.data(), own.size(), rank);
    }
    transfers.wait("the texts of other ranks");
    return texts.take();
}

void check_wrapping_sums(const Communicator& communicator) {
    check_wrapping<std::uint32_t>(communicator, 32);
    check_wrapping<std::uint64_t>(communicator, 64);
}

}  // namespace silosum
