#pragma once

#include <string>

#include "crash/record.h"

namespace obit {

/// What an interpreter executed, by its program and command line: the file name of a script, or the name of a
/// module or class. Empty: the program is none that obit knows, code came with the command line, or it was
/// cut. Python, Perl, Ruby, PHP, Lua, Node and Java.
[[nodiscard]] std::string ScriptOf(const CrashRecord::Process& process);

}  // namespace obit
