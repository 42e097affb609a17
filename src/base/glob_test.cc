#include "base/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(FitsGlob, IsOfTheWholeText) {
  EXPECT_TRUE(FitsGlob("postgres", "postgres"));
  for (const char* text : {"postgre", "postgres ", " postgres", "", "Postgres"})
    EXPECT_FALSE(FitsGlob("postgres", text)) << text;
  EXPECT_TRUE(FitsGlob("", ""));
  EXPECT_FALSE(FitsGlob("", "a"));
}

TEST(FitsGlob, AStarStandsForAnything) {
  EXPECT_TRUE(FitsGlob("/usr/lib/postgresql/*/bin/*", "/usr/lib/postgresql/15/bin/postgres"));
  EXPECT_TRUE(FitsGlob("/opt/*", "/opt/a/b/c"));
  EXPECT_TRUE(FitsGlob("*", ""));
  EXPECT_TRUE(FitsGlob("**a*", "bab"));
  EXPECT_TRUE(FitsGlob("*ab", "aab"));  // what the star takes first is too much, or too little
  EXPECT_TRUE(FitsGlob("*.service", "a.service.service"));
  EXPECT_FALSE(FitsGlob("*.service", "a.service2"));
  EXPECT_FALSE(FitsGlob("/opt/*", "/opt"));
}

TEST(FitsGlob, AQuestionMarkStandsForOneByte) {
  EXPECT_TRUE(FitsGlob("python3.??", "python3.11"));
  EXPECT_FALSE(FitsGlob("python3.??", "python3.9"));
  EXPECT_FALSE(FitsGlob("?", ""));
}

TEST(FitsGlob, AllElseStandsForItself) {
  EXPECT_TRUE(FitsGlob("[a]\\{b}", "[a]\\{b}"));
  EXPECT_FALSE(FitsGlob("[a]", "a"));
}

/// By way of each star anew it would take longer than there is time.
TEST(FitsGlob, EndsSoonWhateverItIsGiven) {
  std::string glob;
  for (int i = 0; i < 60; ++i) glob += "*a";
  EXPECT_FALSE(FitsGlob(glob + "*b", std::string(4000, 'a')));
}

}  // namespace
}  // namespace obit
