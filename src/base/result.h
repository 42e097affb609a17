#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace obit {

/// Why an operation failed: an errno cause plus what was being done, outermost first.
struct [[nodiscard]] Error {
  int code = 0;      ///< errno value, > 0. Programs branch on this, never on `what`.
  std::string what;  ///< "store crash 3f9c: open core.zst: No space left on device"

  /// Prepends the caller's view, so the message reads from goal to cause.
  Error In(std::string_view goal) && { return {code, fmt::format("{}: {}", goal, what)}; }
};

template <class T>
using Result = std::expected<T, Error>;

/// Makes the failure value. Pass `errno` itself: it is copied before anything formats.
template <class... A>
std::unexpected<Error> Fail(int code, fmt::format_string<A...> doing, A&&... args) {
  return std::unexpected(Error{code, fmt::format("{}: {}", fmt::format(doing, std::forward<A>(args)...),
                                                 std::generic_category().message(code))});
}

/// A failure whose message says it all: for rules of obit that no errno text describes.
template <class... A>
std::unexpected<Error> Refuse(int code, fmt::format_string<A...> what, A&&... args) {
  return std::unexpected(Error{code, fmt::format(what, std::forward<A>(args)...)});
}

}  // namespace obit

/// The value of a Result, or return of its error from the enclosing function.
#define OBIT_TRY(...) OBIT_TRY_NAMED(OBIT_JOIN(obit_try_, __COUNTER__), , __VA_ARGS__)

/// The same, with the goal put before the cause: OBIT_TRY_IN(Open(p), "read record {}", id).
#define OBIT_TRY_IN(expr, ...) \
  OBIT_TRY_NAMED(OBIT_JOIN(obit_try_, __COUNTER__), .In(fmt::format(__VA_ARGS__)), expr)

// The name is unique, so that one OBIT_TRY may stand in the argument of another.
#define OBIT_TRY_NAMED(name, in_goal, ...)                              \
  ({                                                                    \
    auto name = (__VA_ARGS__);                                          \
    if (!name) return std::unexpected(std::move(name).error() in_goal); \
    std::move(name).value();                                            \
  })
#define OBIT_JOIN(a, b) OBIT_JOIN_EXPANDED(a, b)
#define OBIT_JOIN_EXPANDED(a, b) a##b
