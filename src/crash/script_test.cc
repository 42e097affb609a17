#include "crash/script.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

std::string Of(std::string exe, std::vector<std::string> line, bool truncated = false) {
  CrashRecord::Process process;
  process.exe = std::move(exe);
  process.cmdline = std::move(line);
  process.cmdline_truncated = truncated;
  return ScriptOf(process);
}

TEST(ScriptOf, IsTheFirstArgumentThatIsNoOption) {
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "-u", "-W", "ignore", "/srv/shop/pay.py", "--all"}),
            "pay.py");
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "-m", "shop.pay", "x.py"}), "shop.pay");
  EXPECT_EQ(Of("/usr/bin/perl", {"perl", "-w", "pay.pl"}), "pay.pl");
  EXPECT_EQ(Of("/usr/bin/node", {"node", "--require", "trace", "server.js"}), "server.js");
  EXPECT_EQ(Of("/usr/lib/jvm/java-17/bin/java", {"java", "-Xmx1g", "-cp", "a.jar", "shop.Main"}),
            "shop.Main");
  EXPECT_EQ(Of("/usr/lib/jvm/java-17/bin/java", {"java", "-jar", "/opt/shop.jar"}), "shop.jar");
}

TEST(ScriptOf, MayBeNone) {
  EXPECT_EQ(Of("/usr/bin/shop", {"shop", "pay.py"}), "") << "no interpreter";
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "-c", "import os", "pay.py"}), "");
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3"}), "");
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "-W"}), "");
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "-m"}), "");
  EXPECT_EQ(Of("/usr/bin/python3.11", {"python3", "/srv/a/very/long/pa"}, true), "") << "it was cut";
  EXPECT_EQ(Of("/usr/bin/python3.11", {}), "");
}

}  // namespace
}  // namespace obit
