// AES-128 counter mode for one width of vectors. Included once for each width, inside a namespace that defines Vector, blocks (those
// of a vector) and the functions used below.

// Vectors in flight: enough to hide that an AES round takes several cycles.
constexpr std::size_t depth = 8;
constexpr std::size_t vector_bytes = blocks * 16;

/// Counters lie with the block number in the processor's byte order; its bytes are turned as it goes into the cipher.
template <std::size_t count>
inline void encrypt(const AesSchedule& schedule, Vector& counter, Vector (&state)[count]) {
    const Vector step = counter_step();
    const Vector first_key = load(schedule.round_keys[0]);
    for (std::size_t i = 0; i < count; ++i) {
        state[i] = exclusive_or(turn_numbers(counter), first_key);
        counter = add64_lanes(counter, step);
    }
    for (int round = 1; round < 10; ++round) {
        const Vector key = load(schedule.round_keys[round]);
        for (std::size_t i = 0; i < count; ++i) state[i] = aes_round(state[i], key);
    }
    const Vector last_key = load(schedule.round_keys[10]);
    for (std::size_t i = 0; i < count; ++i) state[i] = aes_last_round(state[i], last_key);
}

template <bool minus, class Word>
inline void combine(Vector stream, Word* words) {
    const Vector old = load(words);
    if constexpr (sizeof(Word) == 4) {
        store(minus ? subtract32_lanes(old, stream) : add32_lanes(old, stream), words);
    } else {
        store(minus ? subtract64_lanes(old, stream) : add64_lanes(old, stream), words);
    }
}

template <bool minus, class Word>
void combine_stream(const AesSchedule& schedule, std::uint64_t block, std::size_t n, Word* words) {
    constexpr std::size_t vector_words = vector_bytes / sizeof(Word);
    Vector counter = first_counter(schedule.prefix, block);
    std::size_t i = 0;
    for (; i + depth * vector_words <= n; i += depth * vector_words) {
        Vector state[depth];
        encrypt(schedule, counter, state);
        for (std::size_t v = 0; v < depth; ++v) combine<minus>(state[v], words + i + v * vector_words);
    }
    while (i < n) {
        Vector state[1];
        encrypt(schedule, counter, state);
        const std::size_t rest = n - i < vector_words ? n - i : vector_words;
        if (rest == vector_words) {
            combine<minus>(state[0], words + i);
        } else {
            Word tail[vector_words] = {};
            for (std::size_t k = 0; k < rest; ++k) tail[k] = words[i + k];
            combine<minus>(state[0], tail);
            for (std::size_t k = 0; k < rest; ++k) words[i + k] = tail[k];
            store(exclusive_or(state[0], state[0]), tail);  // holds nothing but masked words; wiped all the same
        }
        i += rest;
    }
}

constexpr AesStream stream = {combine_stream<false, std::uint32_t>, combine_stream<true, std::uint32_t>,
                              combine_stream<false, std::uint64_t>, combine_stream<true, std::uint64_t>};
