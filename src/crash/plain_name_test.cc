#include "crash/plain_name.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(PlainName, LeavesOutWhatDiffersBetweenBuilds) {
  EXPECT_EQ(PlainName("Cache::find(std::string const&) const"), "Cache::find");
  EXPECT_EQ(PlainName("void shop::sort<int, std::less<int> >(int*, int*)"), "shop::sort");
  EXPECT_EQ(PlainName("std::vector<int>::push_back(int&&)"), "std::vector::push_back");
  EXPECT_EQ(PlainName("main::{lambda(int)#1}::operator()(int) const"), "main::{lambda}");
  EXPECT_EQ(PlainName("f(int)::{lambda()#2}::operator()() const"), "f::{lambda}");
  EXPECT_EQ(PlainName("(anonymous namespace)::work(void*)"), "(anonymous namespace)::work");
  EXPECT_EQ(PlainName("parse.part.0"), "parse");
  EXPECT_EQ(PlainName("parse(char const*) [clone .cold]"), "parse");
  EXPECT_EQ(PlainName("std::foo[abi:cxx11](int)"), "std::foo");
  EXPECT_EQ(PlainName("mycrate::run::{closure#0}"), "mycrate::run::{closure}");
  EXPECT_EQ(PlainName("<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"),
            "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop");
  EXPECT_EQ(PlainName("mycrate::third::<u64>"), "mycrate::third");
}

TEST(PlainName, OtherLanguages) {
  EXPECT_EQ(PlainName("main.order"), "main.order");
  EXPECT_EQ(PlainName("example.com/shop/cart.(*Cart[...]).Pay.func1.2"),
            "example.com/shop/cart.(*Cart).Pay.func");
  EXPECT_EQ(PlainName("main.(*Cart).Pay-fm"), "main.(*Cart).Pay");
  EXPECT_EQ(PlainName("main.Map[go.shape.struct { A int }]"), "main.Map");
  EXPECT_EQ(PlainName("main.glob..func1"), "main.glob.func");
  EXPECT_EQ(PlainName("main.cleanup"), "main.cleanup");
  EXPECT_EQ(PlainName("main.sum.abi0"), "main.sum");
  EXPECT_EQ(PlainName("camlShop__Cart__pay_123"), "camlShop.Cart.pay");
  EXPECT_EQ(PlainName("camlShop__Cart.pay_9"), "camlShop.Cart.pay");
  EXPECT_EQ(PlainName("Java_shop_Cart_pay__IJ"), "Java_shop_Cart_pay");
  EXPECT_EQ(PlainName("Shop.lambda$pay$0"), "Shop.lambda$pay");
  EXPECT_EQ(PlainName("pay@@SHOP_1.2"), "pay");
  EXPECT_EQ(PlainName("pay.constprop.0.isra.1"), "pay");
  EXPECT_EQ(PlainName("absl::lts_20240116::Mutex::Lock()"), "absl::Mutex::Lock");
  EXPECT_EQ(PlainName("std::__1::vector<int>::at(unsigned long)"), "std::vector::at");
  EXPECT_EQ(PlainName("shop[4f1c3aa2b3c4d5e6]::order"), "shop::order");
  EXPECT_EQ(PlainName("main::$_0::operator()() const"), "main::{lambda}");
  EXPECT_EQ(PlainName("main::'lambda0'(int)::operator()(int) const"), "main::{lambda}");
}

TEST(LambdaInside, IsTheFunctionThatItWasWrittenIn) {
  EXPECT_EQ(LambdaInside("std::_Function_handler<void (), shop::pay(int)::{lambda()#1}>::_M_invoke(int)"),
            "shop::pay::{lambda}");
  EXPECT_EQ(LambdaInside("std::vector<int>::push_back(int)"), "");
  EXPECT_EQ(LambdaInside("std::call_once<std::once()::{lambda()#1}>()"), "") << "the library's own";
  for (const char* odd : {"::{lambda(", "<::{lambda(", ")>::$_", "}::'lambda"}) (void)LambdaInside(odd);
}

TEST(PlainName, Operators) {
  EXPECT_EQ(PlainName("operator new(unsigned long)"), "operator new");
  EXPECT_EQ(PlainName("bool operator< <char>(A const&, B const&)"), "operator<");
  EXPECT_EQ(PlainName("Set::operator->() const"), "Set::operator->");
  EXPECT_EQ(PlainName("Order::operator()(int)"), "Order::operator()");
}

TEST(PlainName, OddTextEnds) {
  for (const char* odd :
       {"",   "<",  "(",    "{",       "[",        ".",    "..",      "@",
        "a@", "$_", "::$_", "<lambda", "'lambda",  "caml", "camlA__", "a_",
        "[.", "a<", "a(",   "a{",      "operator", ">>>",  "::",      "(anonymous namespace)"})
    (void)PlainName(odd);
}

}  // namespace
}  // namespace obit
