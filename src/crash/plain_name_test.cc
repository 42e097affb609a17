#include "crash/plain_name.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(PlainName, LeavesOutWhatDiffersBetweenBuilds) {
  EXPECT_EQ(PlainName("Cache::find(std::string const&) const"), "Cache::find");
  EXPECT_EQ(PlainName("void shop::sort<int, std::less<int> >(int*, int*)"), "shop::sort");
  EXPECT_EQ(PlainName("std::vector<int>::push_back(int&&)"), "std::vector::push_back");
  EXPECT_EQ(PlainName("main::{lambda(int)#1}::operator()(int) const"), "main::{lambda}::operator()");
  EXPECT_EQ(PlainName("f(int)::{lambda()#2}::operator()() const"), "f::{lambda}::operator()");
  EXPECT_EQ(PlainName("(anonymous namespace)::work(void*)"), "(anonymous namespace)::work");
  EXPECT_EQ(PlainName("parse.part.0"), "parse");
  EXPECT_EQ(PlainName("parse(char const*) [clone .cold]"), "parse");
  EXPECT_EQ(PlainName("std::foo[abi:cxx11](int)"), "std::foo");
  EXPECT_EQ(PlainName("mycrate::run::{closure#0}"), "mycrate::run::{closure}");
  EXPECT_EQ(PlainName("<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"),
            "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop");
  EXPECT_EQ(PlainName("mycrate::third::<u64>"), "mycrate::third");
}

TEST(PlainName, Operators) {
  EXPECT_EQ(PlainName("operator new(unsigned long)"), "operator new");
  EXPECT_EQ(PlainName("bool operator< <char>(A const&, B const&)"), "operator<");
  EXPECT_EQ(PlainName("Set::operator->() const"), "Set::operator->");
  EXPECT_EQ(PlainName("Order::operator()(int)"), "Order::operator()");
}

TEST(PlainName, OddTextEnds) {
  for (const char* odd :
       {"", "<", "(", "{", "[", "a<", "a(", "a{", "operator", ">>>", "::", "(anonymous namespace)"})
    (void)PlainName(odd);
}

}  // namespace
}  // namespace obit
