#pragma once

#include <string_view>

namespace obit {

// All of them judge names as PlainName() gives them.

/// A function of a language's runtime, of libc, or of what starts programs and threads: linked statically
/// they have no file of their own.
[[nodiscard]] bool IsRuntimeFunction(std::string_view name);

/// A function that sends a signal to the process or the thread that calls it.
[[nodiscard]] bool IsSendingFunction(std::string_view name);

/// A function of Rust's standard library, where the name is known to be Rust's: C++ has namespaces "core",
/// too.
[[nodiscard]] bool IsRustLibraryFunction(std::string_view name);

/// A function of a library that comes as headers: the program has it compiled in, or inlined.
[[nodiscard]] bool IsTemplateFunction(std::string_view name);

/// A file of a runtime.
[[nodiscard]] bool IsRuntimeLibrary(std::string_view path);

/// A source file that no program has for its own: headers of compilers and of the system, a language's
/// library.
[[nodiscard]] bool IsLibrarySource(std::string_view path);

}  // namespace obit
