#include "analyze/demangle.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(Demangle, Languages) {
  EXPECT_EQ(Demangle("_ZNK5Cache4findERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
            "Cache::find(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > "
            "const&) const");
  EXPECT_EQ(Demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
  EXPECT_EQ(Demangle("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
  EXPECT_EQ(Demangle("main"), "main");
}

TEST(Demangle, WhatIsNoNameStaysAsItIs) {
  EXPECT_EQ(Demangle("_Zgarbage"), "_Zgarbage");
  const std::string huge = "_Z" + std::string(1 << 20, '1');
  EXPECT_EQ(Demangle(huge), huge);
}

}  // namespace
}  // namespace obit
