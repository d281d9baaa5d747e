// AES-128 (FIPS 197) in constant time, bit by bit: eight words hold two blocks, word i all the bits of value 2^i of their bytes.
// A table would leak the key by the time that its places take.
#pragma once

#include <cstdint>

#include "device/cuda.cuh"

namespace silosum::kernels::aes {

inline constexpr int rounds = 10;
inline constexpr int key_words = 8 * (rounds + 1);  // of the expanded key, for two blocks alike

/// Swaps the bits under `mask` of `a` << shift with those of `b`.
__host__ __device__ inline void swap_bits(unsigned& a, unsigned& b, unsigned mask, int shift) {
    const unsigned low = a, high = b;
    a = (low & mask) | ((high & mask) << shift);
    b = ((low >> shift) & mask) | (high & ~mask);
}

/// From words of the blocks (word w of block b in q[2 w + b], little-endian) to bits, and back.
__host__ __device__ inline void turn(unsigned (&q)[8]) {
#pragma unroll
    for (int i = 0; i < 8; i += 2) swap_bits(q[i], q[i + 1], 0x55555555U, 1);
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
        swap_bits(q[i], q[i + 2], 0x33333333U, 2);
        swap_bits(q[i + 1], q[i + 3], 0x33333333U, 2);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) swap_bits(q[i], q[i + 4], 0x0F0F0F0FU, 4);
}

/// The S-box on all bytes: the circuit of Boyar and Peralta, "A depth-16 circuit for the AES S-box" (2011), whose names these are.
__host__ __device__ inline void substitute(unsigned (&q)[8]) {
    const unsigned x0 = q[7], x1 = q[6], x2 = q[5], x3 = q[4], x4 = q[3], x5 = q[2], x6 = q[1], x7 = q[0];

    const unsigned y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, t0 = x1 ^ x2;
    const unsigned y1 = t0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6, y3 = y5 ^ y8;
    const unsigned t1 = x4 ^ y12, y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ t0, y11 = y20 ^ y9;
    const unsigned y7 = x7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8, y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;

    const unsigned t2 = y12 & y15, t4 = (y3 & y6) ^ t2, t6 = (y4 & x7) ^ t2, t7 = y13 & y16, t9 = (y5 & y1) ^ t7, t11 = (y2 & y7) ^ t7;
    const unsigned t12 = y9 & y11, t14 = (y14 & y17) ^ t12, t16 = (y8 & y10) ^ t12;
    const unsigned t21 = t4 ^ t14 ^ y20, t22 = t6 ^ t16 ^ y19, t23 = t9 ^ t14 ^ y21, t24 = t11 ^ t16 ^ y18;
    const unsigned t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t29 = (t25 & t27) ^ t22, t30 = t23 ^ t24, t31 = t22 ^ t26;
    const unsigned t33 = (t31 & t30) ^ t24, t34 = t23 ^ t33, t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36;
    const unsigned t40 = t25 ^ (t29 & t38), t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;

    const unsigned z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1, z5 = t29 & y7, z6 = t42 & y11;
    const unsigned z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3, z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5;
    const unsigned z14 = t29 & y2, z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;

    const unsigned t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12, t51 = z2 ^ z5, t52 = z7 ^ z8;
    const unsigned t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17, t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54;
    const unsigned t60 = t46 ^ t57, t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62, t66 = z1 ^ t63;
    const unsigned s0 = t59 ^ t63, s6 = t56 ^ ~t62, s7 = t48 ^ ~t60, t67 = t64 ^ t65;
    const unsigned s3 = t53 ^ t66, s4 = t51 ^ t66, s5 = t47 ^ t65, s1 = t64 ^ ~s3, s2 = t55 ^ ~t67;
    q[7] = s0;
    q[6] = s1;
    q[5] = s2;
    q[4] = s3;
    q[3] = s4;
    q[2] = s5;
    q[1] = s6;
    q[0] = s7;
}

__device__ inline void shift_rows(unsigned (&q)[8]) {
#pragma unroll
    for (unsigned& x : q) {
        x = (x & 0x000000FFU) | ((x & 0x0000FC00U) >> 2) | ((x & 0x00000300U) << 6) | ((x & 0x00F00000U) >> 4) | ((x & 0x000F0000U) << 4) |
            ((x & 0xC0000000U) >> 6) | ((x & 0x3F000000U) << 2);
    }
}

__device__ inline void mix_columns(unsigned (&q)[8]) {
    unsigned next[8];  // of the column: a byte is 8 bits of a word
#pragma unroll
    for (int i = 0; i < 8; ++i) next[i] = __funnelshift_r(q[i], q[i], 8);
    const unsigned top = q[7] ^ next[7];  // doubling in the field: what falls out above comes back as x^4 + x^3 + x + 1
    unsigned mixed[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const unsigned both = q[i] ^ next[i];
        const unsigned doubled = i == 0 ? top : q[i - 1] ^ next[i - 1];
        mixed[i] = doubled ^ next[i] ^ __funnelshift_r(both, both, 16);
        if (i == 1 || i == 3 || i == 4) mixed[i] ^= top;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] = mixed[i];
}

/// Two blocks in bits. key: key_words words, the same for all threads.
__device__ inline void encrypt(const unsigned* key, unsigned (&q)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] ^= key[i];
#pragma unroll 1
    for (int round = 1; round < rounds; ++round) {
        substitute(q);
        shift_rows(q);
        mix_columns(q);
#pragma unroll
        for (int i = 0; i < 8; ++i) q[i] ^= key[8 * round + i];
    }
    substitute(q);
    shift_rows(q);
#pragma unroll
    for (int i = 0; i < 8; ++i) q[i] ^= key[8 * rounds + i];
}

}  // namespace silosum::kernels::aes
