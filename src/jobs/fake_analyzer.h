#pragma once

// A shell script in the place of obit-analyze. Included by tests only.

#include <string>

#include <sys/stat.h>

#include "base/test_support.h"

namespace obit::testing {

/// A program made of `commands`, for sh, which have $core, $record and $report as paths of the files that it
/// was started with, and $id of the crash. What its command line was is in the file NAME.arguments.
inline std::string MakeFakeAnalyzer(const std::string& path, const std::string& commands) {
  const std::string script = R"sh(#!/bin/sh
echo "$@" > "$0.arguments"
for argument; do
  case $argument in
    --core=*) core=/proc/self/fd/${argument#*=} ;;
    --record=*) record=/proc/self/fd/${argument#*=} ;;
    --report=*) report=/proc/self/fd/${argument#*=} ;;
  esac
done
id=$(/bin/sed -n 's/^ *"id": "\(.*\)",*$/\1/p' $record)
)sh" + commands + "\n";
  const Fd file = *Open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  EXPECT_TRUE(WriteAll(file, std::string_view(script)));
  return path;
}

/// A report without anything in it.
inline constexpr const char* kWriteReport =
    R"(printf '{"schema": 1, "id": "%s", "cause": {"kind": "unknown"}}' $id > $report)";

}  // namespace obit::testing
