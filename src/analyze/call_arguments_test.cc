#include "analyze/call_arguments.h"

#include "analyze/test_support.h"

namespace obit {
namespace {

using namespace testing;

constexpr unsigned kRdi = 0, kRsi = 1, kRdx = 2, kRcx = 3;

/// The arguments of a call at the end of some code, which `set` may prepare; rbx is 0x1234.
CallArguments ArgumentsOf(std::initializer_list<unsigned> code, DeadProcess dead = {}) {
  dead.Code(code);
  auto image = CoreImage::Open(StoredFile(dead.Core()));
  EXPECT_THAT(image, Succeeds());
  Registers caller(kX86_64);
  caller.SetPc(kCode + code.size());
  caller.Set(3, 0x1234);
  caller.SetSp(kStack + 0x100);
  return FindCallArguments(*image, kCode, caller);
}

TEST(CallArguments, ConstantsAndAddressesOfData) {
  // lea 0x10(%rip),%rdi; mov $29,%esi; xor %edx,%edx; call
  const auto found =
      ArgumentsOf({0x48, 0x8d, 0x3d, 0x10, 0, 0, 0, 0xbe, 29, 0, 0, 0, 0x31, 0xd2, 0xe8, 0, 0, 0, 0});
  EXPECT_EQ(found[kRdi], kCode + 7 + 0x10);
  EXPECT_EQ(found[kRsi], 29);
  EXPECT_EQ(found[kRdx], 0);
  EXPECT_EQ(found[kRcx], std::nullopt);
}

TEST(CallArguments, WhatTheCallPreserved) {
  DeadProcess dead;
  dead.Word(kStack + 0x108, 0x5678);
  // mov %rbx,%rdi; lea 0x10(%rsp),%rsi; mov 8(%rsp),%rdx; call
  const auto found = ArgumentsOf(
      {0x48, 0x89, 0xdf, 0x48, 0x8d, 0x74, 0x24, 0x10, 0x48, 0x8b, 0x54, 0x24, 0x08, 0xe8, 0, 0, 0, 0},
      dead);  // clang-format off
  // clang-format on
  EXPECT_EQ(found[kRdi], 0x1234);
  EXPECT_EQ(found[kRsi], kStack + 0x110);
  EXPECT_EQ(found[kRdx], 0x5678);
}

TEST(CallArguments, WhatWasTakenBeforeARegisterChangedIsNotKnown) {
  // mov %rbx,%rdi; mov %rax,%rbx; mov %rbx,%rsi; call
  const auto found = ArgumentsOf({0x48, 0x89, 0xdf, 0x48, 0x89, 0xc3, 0x48, 0x89, 0xde, 0xe8, 0, 0, 0, 0});
  EXPECT_EQ(found[kRdi], std::nullopt);
  EXPECT_EQ(found[kRsi], 0x1234);
}

TEST(CallArguments, ACallInBetweenForgetsItsArguments) {
  // mov $1,%edi; call; call
  EXPECT_EQ(ArgumentsOf({0xbf, 1, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0})[kRdi], std::nullopt);
}

TEST(CallArguments, WhereTwoWaysMeetNothingIsKnown) {
  // mov $1,%edi; je +5; mov $2,%edi; call
  const auto found = ArgumentsOf({0xbf, 1, 0, 0, 0, 0x74, 5, 0xbf, 2, 0, 0, 0, 0xe8, 0, 0, 0, 0});
  EXPECT_EQ(found[kRdi], std::nullopt);
}

TEST(CallArguments, CodeThatEndsWithNoCallHasNone) {
  EXPECT_EQ(ArgumentsOf({0xbf, 1, 0, 0, 0, 0x90})[kRdi], std::nullopt);
  EXPECT_EQ(ArgumentsOf({0xbf, 1, 0, 0, 0, 0xe8, 0, 0})[kRdi], std::nullopt) << "the last one is cut";
  EXPECT_EQ(ArgumentsOf({0x06, 0xbf, 1, 0, 0, 0, 0xe8, 0, 0, 0, 0})[kRdi], std::nullopt) << "no instruction";
}

}  // namespace
}  // namespace obit
