// Single PTX instructions, those too that nvcc makes of no kernel here. What they should give is worked out from the PTX manual.
#include <gmock/gmock.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "ptx/parser.hpp"

namespace {

using emulator::ptx::parse_module;
using emulator::ptx::run_function;
using Bits = std::uint64_t;

Bits f32(float value) {
    return std::bit_cast<std::uint32_t>(value);
}
Bits f64(double value) {
    return std::bit_cast<Bits>(value);
}

// %rd1, %rd2 and %rd3 hold the operands; %r1, %f1, %fd1, %rs1 and %p1 the same as narrower types, as a float or as not 0. The body leaves
// its result in the register that it names first, which is number 0 of its kind.
Bits result_of(const std::string& body, Bits a = 0, Bits b = 0, Bits c = 0, const std::string& before = "") {
    const std::string letters = body.substr(body.find('%') + 1, body.find('0', body.find('%')) - body.find('%') - 1);
    std::string text = ".version 9.0\n.target sm_90\n.address_size 64\n" + before +
                       ".func (.param .b64 out) f(.param .b64 in1, .param .b64 in2, .param .b64 in3)\n{\n"
                       ".reg .pred %p<4>; .reg .b16 %rs<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .f32 %f<4>; .reg .f64 %fd<4>;\n";
    for (const std::string n : {"1", "2", "3"}) {
        text += "ld.param.u64 %rd" + n + ", [in" + n + "]; cvt.u32.u64 %r" + n + ", %rd" + n + "; cvt.u16.u64 %rs" + n + ", %rd" + n +
                "; mov.b32 %f" + n + ", %r" + n + "; mov.b64 %fd" + n + ", %rd" + n + "; setp.ne.u64 %p" + n + ", %rd" + n + ", 0;\n";
    }
    text += body + "\n";
    if (letters == "p") text += "selp.b64 %rd0, 1, 0, %p0; st.param.b64 [out], %rd0;";
    if (letters == "r") text += "cvt.u64.u32 %rd0, %r0; st.param.b64 [out], %rd0;";
    if (letters == "rs") text += "cvt.u64.u16 %rd0, %rs0; st.param.b64 [out], %rd0;";
    if (letters == "f") text += "mov.b32 %r0, %f0; cvt.u64.u32 %rd0, %r0; st.param.b64 [out], %rd0;";
    if (letters == "rd") text += "st.param.b64 [out], %rd0;";
    if (letters == "fd") text += "st.param.f64 [out], %fd0;";
    const auto module = parse_module("test.ptx", text + "\nret;\n}\n");
    std::array<Bits, 4> parameters = {0, a, b, c};
    run_function(*module->functions.at("f"), reinterpret_cast<unsigned char*>(parameters.data()));
    return parameters[0];
}

TEST(PtxInstructions, Integers) {
    constexpr Bits least = 0x80000000, ones = ~Bits{0};
    EXPECT_EQ(result_of("add.s32 %r0, %r1, %r2;", 0xffffffff, 2), 1u);
    EXPECT_EQ(result_of("add.sat.s32 %r0, %r1, %r2;", 0x7fffffff, 2), 0x7fffffffu);
    EXPECT_EQ(result_of("sub.u16 %rs0, %rs1, %rs2;", 1, 2), 0xffffu);
    EXPECT_EQ(result_of("mul.lo.s32 %r0, %r1, %r2;", 0x10001, 0x10001), 0x20001u);
    EXPECT_EQ(result_of("mul.hi.s32 %r0, %r1, %r2;", 0xffffffff, 5), 0xffffffffu);
    EXPECT_EQ(result_of("mul.hi.u64 %rd0, %rd1, %rd2;", ones, ones), ones - 1);
    EXPECT_EQ(result_of("mul.wide.s32 %rd0, %r1, %r2;", 0xffffffff, 7), Bits{0} - 7);
    EXPECT_EQ(result_of("mul.wide.u16 %r0, %rs1, %rs2;", 0xffff, 0xffff), 0xfffe0001u);
    EXPECT_EQ(result_of("mad.lo.u64 %rd0, %rd1, %rd2, %rd3;", 3, 5, 7), 22u);
    EXPECT_EQ(result_of("mad.hi.u32 %r0, %r1, %r2, %r3;", 0x80000000, 6, 1), 4u);
    EXPECT_EQ(result_of("mad.wide.u32 %rd0, %r1, %r2, %rd3;", 0xffffffff, 2, 3), 0x200000001u);
    EXPECT_EQ(result_of("mul24.lo.s32 %r0, %r1, %r2;", 0xffffff, 3), 0xfffffffdu);
    EXPECT_EQ(result_of("mad24.lo.u32 %r0, %r1, %r2, %r3;", 0xff000002, 3, 1), 7u);
    EXPECT_EQ(result_of("div.s32 %r0, %r1, %r2;", Bits{0} - 7, 2), 0xfffffffdu);
    EXPECT_EQ(result_of("div.s32 %r0, %r1, %r2;", least, ones), least);
    EXPECT_EQ(result_of("rem.s32 %r0, %r1, %r2;", Bits{0} - 7, 2), 0xffffffffu);
    EXPECT_EQ(result_of("rem.u32 %r0, %r1, %r2;", 7, 0), 7u);
    EXPECT_EQ(result_of("min.s32 %r0, %r1, %r2;", 0xffffffff, 1), 0xffffffffu);
    EXPECT_EQ(result_of("max.u32 %r0, %r1, %r2;", 0xffffffff, 1), 0xffffffffu);
    EXPECT_EQ(result_of("neg.s64 %rd0, %rd1;", 5), Bits{0} - 5);
    EXPECT_EQ(result_of("abs.s32 %r0, %r1;", 0xfffffffe), 2u);
    EXPECT_EQ(result_of("sad.s32 %r0, %r1, %r2, %r3;", 3, 0xfffffffe, 10), 15u);
}

TEST(PtxInstructions, CarriesGoFromWordToWord) {
    constexpr Bits ones = 0xffffffff;
    // The registers that are named first hold the result; the lower words come before.
    EXPECT_EQ(result_of("mov.u32 %r0, 0; add.cc.u32 %r4, %r1, %r2; addc.cc.u32 %r5, %r1, 0; addc.u32 %r0, 0, 0;", ones, 1), 1u);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; sub.cc.u32 %r4, %r1, %r2; subc.u32 %r0, %r3, 0;", 1, 2, 9), 8u);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; mad.lo.cc.u32 %r4, %r1, %r2, %r3; madc.hi.u32 %r0, %r1, %r2, 0;", ones, ones, ones), ones);
}

TEST(PtxInstructions, Bits) {
    EXPECT_EQ(result_of("and.b64 %rd0, %rd1, %rd2;", 0xff00ff00ff, 0xffff), 0xffu);
    EXPECT_EQ(result_of("xor.pred %p0, %p1, %p2;", 1, 1), 0u);
    EXPECT_EQ(result_of("not.b32 %r0, %r1;", 0xff), 0xffffff00u);
    EXPECT_EQ(result_of("not.pred %p0, %p1;", 0), 1u);
    EXPECT_EQ(result_of("cnot.b32 %r0, %r1;", 0), 1u);
    EXPECT_EQ(result_of("shl.b32 %r0, %r1, %r2;", 1, 32), 0u);
    EXPECT_EQ(result_of("shr.s32 %r0, %r1, %r2;", 0x80000000, 40), 0xffffffffu);
    EXPECT_EQ(result_of("shr.u64 %rd0, %rd1, 60;", ~Bits{0}), 15u);
    EXPECT_EQ(result_of("shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 0x80000000, 1, 33), 3u);
    EXPECT_EQ(result_of("shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 1, 7, 40), 7u);
    EXPECT_EQ(result_of("lop3.b32 %r0, %r1, %r2, %r3, 0x96;", 0xf0f0, 0xff00, 0xaaaa), 0xf0f0u ^ 0xff00u ^ 0xaaaau);
    EXPECT_EQ(result_of("lop3.b32 %r0, %r1, %r2, %r3, 0xca;", 0xf0f0, 0xff00, 0xaaaa), (0xf0f0u & 0xff00u) | (0x0f0fu & 0xaaaau));
    EXPECT_EQ(result_of("prmt.b32 %r0, %r1, %r2, %r3;", 0x44332211, 0x88776655, 0xf740), 0xff885511u);
    EXPECT_EQ(result_of("bfe.u32 %r0, %r1, 4, 8;", 0xabcd), 0xbcu);
    EXPECT_EQ(result_of("bfe.s32 %r0, %r1, 4, 8;", 0xabcd), 0xffffffbcu);
    EXPECT_EQ(result_of("bfe.s32 %r0, %r1, 28, 16;", 0x80000000), 0xfffffff8u);
    EXPECT_EQ(result_of("bfi.b32 %r0, %r1, %r2, 8, 4;", 0x5, 0xffffffff), 0xfffff5ffu);
    EXPECT_EQ(result_of("bfind.u32 %r0, %r1;", 0x1000), 12u);
    EXPECT_EQ(result_of("bfind.s32 %r0, %r1;", 0xffffffff), 0xffffffffu);
    EXPECT_EQ(result_of("popc.b64 %r0, %rd1;", ~Bits{0}), 64u);
    EXPECT_EQ(result_of("clz.b64 %r0, %rd1;", 1), 63u);
    EXPECT_EQ(result_of("brev.b64 %rd0, %rd1;", 1), Bits{1} << 63);
}

TEST(PtxInstructions, Floats) {
    const float third = 1.0f / 3.0f;
    EXPECT_EQ(result_of("add.f32 %f0, %f1, %f2;", f32(0.1f), f32(0.2f)), f32(0.1f + 0.2f));
    EXPECT_EQ(result_of("add.rz.f32 %f0, %f1, %f2;", f32(1.0f), f32(-1e-10f)), f32(std::nextafter(1.0f, 0.0f)));
    EXPECT_EQ(result_of("add.rp.f64 %fd0, %fd1, %fd2;", f64(1.0), f64(1e-20)), f64(std::nextafter(1.0, 2.0)));
    EXPECT_EQ(result_of("mul.rm.f32 %f0, %f1, %f2;", f32(third), f32(third)), f32(std::nextafter(third * third, 0.0f)));
    EXPECT_EQ(result_of("mul.ftz.f32 %f0, %f1, %f2;", f32(1e-30f), f32(-1e-10f)), f32(-0.0f));
    EXPECT_EQ(result_of("add.sat.f32 %f0, %f1, %f2;", f32(0.75f), f32(0.75f)), f32(1.0f));
    EXPECT_EQ(result_of("fma.rn.f64 %fd0, %fd1, %fd2, %fd3;", f64(1e16), f64(1e16), f64(-1e32)), f64(std::fma(1e16, 1e16, -1e32)));
    EXPECT_EQ(result_of("div.rn.f32 %f0, %f1, %f2;", f32(1), f32(3)), f32(third));
    EXPECT_EQ(result_of("rcp.rn.f64 %fd0, %fd1;", f64(3)), f64(1.0 / 3));
    EXPECT_EQ(result_of("sqrt.rn.f32 %f0, %f1;", f32(2)), f32(std::sqrt(2.0f)));
    EXPECT_EQ(result_of("rsqrt.approx.f32 %f0, %f1;", f32(4)), f32(0.5f));
    EXPECT_EQ(result_of("ex2.approx.ftz.f32 %f0, %f1;", f32(3)), f32(8));
    EXPECT_EQ(result_of("lg2.approx.f32 %f0, %f1;", f32(0.25f)), f32(-2));
    EXPECT_EQ(result_of("tanh.approx.f32 %f0, %f1;", f32(100)), f32(1));
    EXPECT_EQ(result_of("cos.approx.f32 %f0, %f1;", f32(0)), f32(1));
    EXPECT_EQ(result_of("neg.f64 %fd0, %fd1;", f64(0)), f64(-0.0));
    EXPECT_EQ(result_of("abs.f32 %f0, %f1;", f32(-2)), f32(2));
    EXPECT_EQ(result_of("min.f32 %f0, %f1, %f2;", f32(0.0f), f32(-0.0f)), f32(-0.0f));
    EXPECT_EQ(result_of("max.f32 %f0, %f1, %f2;", f32(NAN), f32(1)), f32(1));
    EXPECT_TRUE(std::isnan(std::bit_cast<double>(result_of("max.NaN.f64 %fd0, %fd1, %fd2;", f64(NAN), f64(1)))));
    EXPECT_EQ(result_of("copysign.f32 %f0, %f1, %f2;", f32(-1), f32(5)), f32(-5));
}

TEST(PtxInstructions, Comparisons) {
    EXPECT_EQ(result_of("setp.lt.s32 %p0, %r1, %r2;", 0xffffffff, 0), 1u);
    EXPECT_EQ(result_of("setp.lo.u32 %p0, %r1, %r2;", 0xffffffff, 0), 0u);
    EXPECT_EQ(result_of("setp.ge.and.s64 %p0, %rd1, %rd2, %p3;", 5, 5, 0), 0u);
    EXPECT_EQ(result_of("setp.ge.or.s64 %p0, %rd1, %rd2, !%p3;", 4, 5, 0), 1u);
    EXPECT_EQ(result_of("mov.pred %p0, 0; setp.eq.s32 %p2|%p0, %r1, %r2;", 4, 5), 1u);
    EXPECT_EQ(result_of("setp.ne.f32 %p0, %f1, %f2;", f32(NAN), f32(1)), 0u);
    EXPECT_EQ(result_of("setp.neu.f32 %p0, %f1, %f2;", f32(NAN), f32(1)), 1u);
    EXPECT_EQ(result_of("setp.gtu.f64 %p0, %fd1, %fd2;", f64(0), f64(1)), 0u);
    EXPECT_EQ(result_of("setp.num.f64 %p0, %fd1, %fd2;", f64(0), f64(NAN)), 0u);
    EXPECT_EQ(result_of("set.lt.u32.s32 %r0, %r1, %r2;", 1, 2), 0xffffffffu);
    EXPECT_EQ(result_of("set.lt.f32.s32 %f0, %r1, %r2;", 1, 2), f32(1));
    EXPECT_EQ(result_of("selp.b32 %r0, %r1, %r2, %p3;", 1, 2, 0), 2u);
    EXPECT_EQ(result_of("slct.b32.s32 %r0, %r1, %r2, %r3;", 1, 2, 0x80000000), 2u);
    EXPECT_EQ(result_of("slct.b32.f32 %r0, %r1, %r2, %f3;", 1, 2, f32(-0.0f)), 1u);
    EXPECT_EQ(result_of("testp.subnormal.f32 %p0, %f1;", f32(1e-40f)), 1u);
    EXPECT_EQ(result_of("testp.infinite.f64 %p0, %fd1;", f64(INFINITY)), 1u);
}

TEST(PtxInstructions, Conversions) {
    EXPECT_EQ(result_of("cvt.rni.s32.f32 %r0, %f1;", f32(2.5f)), 2u);
    EXPECT_EQ(result_of("cvt.rpi.s32.f32 %r0, %f1;", f32(2.25f)), 3u);
    EXPECT_EQ(result_of("cvt.rzi.u32.f32 %r0, %f1;", f32(-5)), 0u);
    EXPECT_EQ(result_of("cvt.rzi.s32.f32 %r0, %f1;", f32(3e9f)), 0x7fffffffu);
    EXPECT_EQ(result_of("cvt.rzi.s64.f32 %rd0, %f1;", f32(NAN)), Bits{1} << 63);
    EXPECT_EQ(result_of("cvt.rzi.s32.f32 %r0, %f1;", f32(NAN)), 0u);
    EXPECT_EQ(result_of("cvt.rni.f32.f32 %f0, %f1;", f32(3.5f)), f32(4));
    EXPECT_EQ(result_of("cvt.rmi.f64.f64 %fd0, %fd1;", f64(-3.5)), f64(-4));
    EXPECT_EQ(result_of("cvt.sat.f32.f32 %f0, %f1;", f32(-3)), f32(0));
    EXPECT_EQ(result_of("cvt.rz.f32.f64 %f0, %fd1;", f64(1.0 - 1e-12)), f32(std::nextafter(1.0f, 0.0f)));
    EXPECT_EQ(result_of("cvt.rn.f32.s32 %f0, %r1;", 0xffffffff), f32(-1));
    EXPECT_EQ(result_of("cvt.rz.f32.u32 %f0, %r1;", 0xffffffff), f32(4294967040.0f));
    EXPECT_EQ(result_of("cvt.rn.f64.u64 %fd0, %rd1;", ~Bits{0}), f64(18446744073709551616.0));
    EXPECT_EQ(result_of("cvt.s32.s8 %r0, %r1;", 0x80), 0xffffff80u);
    EXPECT_EQ(result_of("cvt.u16.u32 %rs0, %r1;", 0x12345), 0x2345u);
    EXPECT_EQ(result_of("cvt.sat.s8.s32 %r0, %r1;", 300), 127u);
    EXPECT_EQ(result_of("cvt.sat.u32.s32 %r0, %r1;", 0xffffffff), 0u);
    EXPECT_EQ(result_of("cvt.s64.s32 %rd0, %r1;", 0xfffffffe), ~Bits{0} - 1);
}

TEST(PtxInstructions, MemoryAndMoves) {
    alignas(16) std::array<std::uint32_t, 4> memory = {1, 2, 3, 0xffff8000};
    const Bits address = reinterpret_cast<std::uintptr_t>(memory.data());
    EXPECT_EQ(result_of("mov.u32 %r0, 9; ld.global.v2.b32 {%r0, %r4}, [%rd1+8];", address), 3u);
    EXPECT_EQ(result_of("mov.u32 %r0, 9; ld.global.nc.v4.u32 {%r0, %r4, %r5, %r6}, [%rd1]; add.u32 %r0, %r4, %r5;", address), 5u);
    EXPECT_EQ(result_of("ld.s16 %r0, [%rd1+12];", address), 0xffff8000u);
    EXPECT_EQ(result_of("ld.volatile.global.u16 %rs0, [%rd1+12];", address), 0x8000u);
    EXPECT_EQ(result_of("mov.u32 %r0, 7; st.global.u8 [%rd1], %r0; ld.global.u32 %r0, [%rd1];", address), 7u);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; atom.global.add.u32 %r0, [%rd1+4], 5; ld.global.u32 %r0, [%rd1+4];", address), 7u);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; red.relaxed.gpu.global.max.s32 [%rd1+12], 3; ld.global.u32 %r0, [%rd1+12];", address), 3u);
    EXPECT_EQ(result_of("atom.global.cas.b32 %r0, [%rd1+8], 3, 99;", address), 3u);
    EXPECT_EQ(memory[2], 99u);
    EXPECT_EQ(result_of("atom.global.inc.u32 %r0, [%rd1+8], 99;", address), 99u);
    EXPECT_EQ(memory[2], 0u);
    EXPECT_EQ(result_of("mov.b64 %rd0, {%r1, %r2};", 1, 2), Bits{2} << 32 | 1);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; mov.b64 {%r4, %r0}, %rd1;", Bits{5} << 32), 5u);
    EXPECT_EQ(result_of("mov.u32 %r0, 0; .local .align 8 .b8 place[16]; st.local.u32 [place+8], %r1; ld.local.u32 %r0, [place+8];", 77),
              77u);
    const std::string constants = ".const .align 4 .u32 table[3] = {10, 20, 30};\n.global .align 1 .b8 bytes[2] = {1, 255};\n";
    EXPECT_EQ(result_of("ld.const.u32 %r0, [table+8];", 0, 0, 0, constants), 30u);
    EXPECT_EQ(result_of("mov.u64 %rd0, bytes; ld.global.s8 %rd0, [%rd0+1];", 0, 0, 0, constants), ~Bits{0});
}

TEST(PtxInstructions, BranchesCallsAndScopes) {
    EXPECT_EQ(result_of("mov.u32 %r0, 0; mov.u32 %r4, 0; $L_loop: add.u32 %r0, %r0, %r4; add.u32 %r4, %r4, 1; setp.lt.u32 %p2, %r4, %r1; "
                        "@%p2 bra $L_loop;",
                        5),
              10u);
    EXPECT_EQ(result_of("mov.u32 %r0, 1; @!%p1 bra $L_end; mov.u32 %r0, 2; $L_end:", 0), 1u);
    EXPECT_EQ(result_of("mov.u32 %r0, 1; @%p1 mov.u32 %r0, 2;", 1), 2u);
    const std::string jump =
        "mov.u32 %r0, 9; ts: .branchtargets $A, $B; brx.idx %r1, ts; $A: mov.u32 %r0, 1; bra.uni $E; $B: mov.u32 %r0, 2; $E:";
    EXPECT_EQ(result_of(jump, 0), 1u);
    EXPECT_EQ(result_of(jump, 1), 2u);
    EXPECT_EQ(result_of("mov.u32 %r0, 1; { .reg .b32 %r0; mov.u32 %r0, 5; }"), 1u) << "the inner register is another one";
    const std::string twice =
        ".func (.param .b32 r) twice(.param .b32 x) { .reg .b32 %a; ld.param.b32 %a, [x]; add.u32 %a, %a, %a; st.param.b32 [r], %a; ret; "
        "}\n";
    EXPECT_EQ(
        result_of(
            "mov.u32 %r0, 0; { .param .b32 p; st.param.b32 [p], %r1; .param .b32 q; call.uni (q), twice, (p); ld.param.b32 %r0, [q]; }", 21,
            0, 0, twice),
        42u);
}

std::string refusal_of(const std::string& body) {
    try {
        result_of(body);
    } catch (const emulator::Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

TEST(PtxInstructions, WhatIsUnknownIsRefusedWithItsPlace) {
    using testing::HasSubstr;
    EXPECT_THAT(refusal_of("frobnicate.b32 %r0, %r1;"), HasSubstr("test.ptx:10: opcode frobnicate"));
    EXPECT_THAT(refusal_of("add.twice.s32 %r0, %r1, %r2;"), HasSubstr("test.ptx:10: add: modifier twice"));
    EXPECT_THAT(refusal_of("add.s32 %r0, %r1;"), HasSubstr("not 3 operands"));
    EXPECT_THAT(refusal_of("add.s32 %r0, %r1, %r99;"), HasSubstr("register %r99"));
    EXPECT_THAT(refusal_of("activemask.b32 %r0;"), HasSubstr("pass the mask"));
    EXPECT_THAT(refusal_of("mov.u32 %r0, 1; bra nowhere;"), HasSubstr("no label nowhere"));
    EXPECT_THAT(refusal_of("shfl.idx.b32 %r0, %r1, 0, 31;"), HasSubstr("without sync"));
    EXPECT_THAT(refusal_of("mov.u32 %r0, 1; call nobody;"), HasSubstr("a function that is not named here"));
}

}  // namespace
