#include "render/function_name.h"

#include <gtest/gtest.h>

#include "render/terminal.h"

namespace obit {
namespace {

TEST(ShortenFunction, WhatFitsStaysWhole) {
  for (const char* name : {"main", "std::vector<int>::at(unsigned long) const", "operator<", ""}) {
    EXPECT_EQ(ShortenFunction(name, 0), name);
    EXPECT_EQ(ShortenFunction(name, 80), name);
  }
}

TEST(ShortenFunction, StringsHaveTheirUsualName) {
  EXPECT_EQ(ShortenFunction("Cache::find(std::__cxx11::basic_string<char, std::char_traits<char>, "
                            "std::allocator<char> > const&) const",
                            0),
            "Cache::find(std::string const&) const");
}

TEST(ShortenFunction, ArgumentsOfTemplatesGoFirstThenParameters) {
  const char* name =
      "web::Router<web::Request, std::map<int, web::Handler>>::serve(web::Request const&, int) const";
  EXPECT_EQ(ShortenFunction(name, 70), "web::Router<…>::serve(web::Request const&, int) const");
  EXPECT_EQ(ShortenFunction(name, 40), "web::Router<…>::serve(…) const");
  EXPECT_EQ(DisplayWidth(ShortenFunction(name, 16)), 16u);
  EXPECT_TRUE(ShortenFunction(name, 16).ends_with("(…) const"));
}

TEST(ShortenFunction, OperatorsAreNoBrackets) {
  EXPECT_EQ(ShortenFunction("A<int, int, int>::operator<<(B const&)", 30), "A<…>::operator<<(B const&)");
  EXPECT_EQ(ShortenFunction("A<int, int, int>::operator->() const", 28), "A<…>::operator->() const");
  EXPECT_EQ(ShortenFunction("std::less<a::b>::operator()(int const&, int const&) const", 40),
            "std::less<…>::operator()(…) const");
  EXPECT_EQ(ShortenFunction("bool operator< <Key>(Key const&, Key const&)", 30), "bool operator< <…>(…)");
}

TEST(ShortenFunction, AnonymousNamespacesAndLambdasStay) {
  EXPECT_EQ(ShortenFunction("(anonymous namespace)::run(Options const&, int)", 35),
            "(anonymous namespace)::run(…)");
  EXPECT_EQ(ShortenFunction("main::{lambda(int, char)#1}::operator()(int, char) const", 50),
            "main::{lambda(int, char)#1}::operator()(…) const");
}

TEST(ShortenFunction, NamesOfAnyBytesAreSafeAndFit) {
  const std::string open(100'000, '<'), close(100'000, ')');
  for (const std::string& name :
       {open, close, "a" + open + "b", std::string("a\x1b[2J\xff<b>(c)d", 13), open + close,
        std::string("operator"), std::string("operator<"), std::string("\xe6\xbc\xa2<>x")}) {
    const std::string text = ShortenFunction(name, 20);
    EXPECT_LE(DisplayWidth(text), 20u);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(BriefFunction(name).find('\x1b'), std::string::npos);
  }
}

TEST(BriefFunction, IsTheNameAlone) {
  for (const auto& [name, brief] : {std::pair{"main", "main"},
                                    {"epoll_wait", "epoll_wait"},
                                    {"int web::Handler::serve<A>(Request const&) const", "Handler::serve"},
                                    {"(anonymous namespace)::run(int)", "{anonymous}::run"},
                                    {"web::(anonymous namespace)::run(int)", "{anonymous}::run"},
                                    {"a::b::c::d()", "c::d"},
                                    {"std::vector<a::b, c::d>::push_back(a::b&&)", "vector::push_back"}})
    EXPECT_EQ(BriefFunction(name), brief);
}

TEST(ShortenBeginning, KeepsTheEnd) {
  EXPECT_EQ(ShortenBeginning("handler.cc:77", 0), "handler.cc:77");
  EXPECT_EQ(ShortenBeginning("handler.cc:77", 13), "handler.cc:77");
  EXPECT_EQ(ShortenBeginning("handler.cc:77", 8), "…r.cc:77");
  EXPECT_EQ(ShortenBeginning("\xe6\xbc\xa2\xe6\xbc\xa2.cc", 6), "…\xe6\xbc\xa2.cc");
  EXPECT_EQ(ShortenBeginning("abc", 1), "…");
}

}  // namespace
}  // namespace obit
