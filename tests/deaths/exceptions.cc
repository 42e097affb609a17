// Exceptions that nobody caught, and other ends of C++.
#include <any>
#include <bitset>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <variant>
#include <vector>

extern "C" {
#include "death.h"
}

namespace {

struct Own : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct WithText : std::exception {
  std::string text;
  explicit WithText(std::string words) : text(std::move(words)) {}
  const char* what() const noexcept override { return text.c_str(); }
};
struct Plain {
  int code = 42;
};
struct Tagged {
  virtual ~Tagged() = default;
  int tag = 7;
};
struct Both : Tagged, std::runtime_error {
  Both() : std::runtime_error("of two bases") {}
};
struct Virtual : virtual std::exception {
  const char* what() const noexcept override { return "virtual base"; }
};
struct VirtualText : virtual std::runtime_error {
  VirtualText() : std::runtime_error("text of a virtual base") {}
};

DEATH runtime_error() { throw std::runtime_error("disk on fire"); }
DEATH logic_error() { throw std::logic_error("two is one"); }
DEATH out_of_range() { printf("%d", std::vector<int>(3).at(HIDE(std::size_t{10}))); }
DEATH number() { throw HIDE(42); }
DEATH literal() { throw "just text"; }
DEATH string() { throw std::string("a string that is long enough to be allocated"); }
DEATH short_string() { throw std::string("short"); }
DEATH own() { throw Own("of its own"); }
DEATH with_text() { throw WithText("kept by itself, in a string of its own"); }
DEATH plain() { throw Plain(); }
DEATH both() { throw Both(); }
DEATH virtual_base() { throw Virtual(); }
DEATH virtual_text() { throw VirtualText(); }
DEATH no_memory() { *HIDE(new char[HIDE(std::size_t{1} << 46)]) = 1; }
DEATH system_error() { throw std::system_error(ENOENT, std::generic_category(), "open the door"); }
DEATH no_such_file() { printf("%ju", std::filesystem::file_size("/nonexistent/file")); }
DEATH bad_function() { std::function<void()>()(); }
DEATH bad_optional() { printf("%d", std::optional<int>().value()); }
DEATH bad_variant() { printf("%d", std::get<int>(std::variant<int, double>(1.5))); }
DEATH bad_any() { printf("%d", std::any_cast<int>(std::any(std::string("x")))); }
DEATH bad_number() { printf("%d", std::stoi("no number")); }
DEATH nested() {
  try {
    throw std::runtime_error("inner");
  } catch (...) {
    std::throw_with_nested(std::runtime_error("outer"));
  }
}
DEATH rethrown() {
  try {
    throw std::runtime_error("thrown again");
  } catch (...) {
    throw;
  }
}
DEATH by_future() {
  auto future =
      std::async(std::launch::async, []() -> int { throw std::runtime_error("in the other thread"); });
  printf("%d", future.get());
}
DEATH by_promise() {
  std::promise<int> promise;
  promise.set_exception(std::make_exception_ptr(std::out_of_range("promised")));
  printf("%d", promise.get_future().get());
}
DEATH in_thread() {
  std::thread([] { throw std::runtime_error("in a thread"); }).join();
}
void quiet() noexcept { throw std::runtime_error("through noexcept"); }
DEATH through_noexcept() { quiet(); }
struct Thrower {
  ~Thrower() { throw std::runtime_error("in a destructor"); }
};
DEATH in_destructor() { Thrower thrower; }
struct ThrowerAloud {
  ~ThrowerAloud() noexcept(false) { throw std::runtime_error("the second one"); }
};
DEATH two_at_once() {
  ThrowerAloud thrower;
  throw std::runtime_error("the first one");
}
DEATH terminates() { std::terminate(); }
DEATH nothing_to_throw() { throw; }
DEATH joinable() {
  std::thread thread([] { pause(); });
}
struct Base {
  Base() {
    __asm__ volatile("" : : "r"(this) : "memory");  // the table of this class is stored, and not forgotten
    Call();
  }
  virtual ~Base() = default;
  __attribute__((noinline)) void Call() { HIDE(this)->Missing(); }
  virtual void Missing() = 0;
};
struct Derived : Base {
  void Missing() override {}
};
DEATH pure_virtual() { Derived derived; }
DEATH caught_before() {
  try {
    throw std::runtime_error("long gone");
  } catch (const std::exception& caught) {
    fputs(caught.what(), stderr);
  }
  abort();
}

const way ways[] = {
    {"runtime-error", runtime_error},
    {"logic-error", logic_error},
    {"out-of-range", out_of_range},
    {"number", number},
    {"literal", literal},
    {"string", string},
    {"short-string", short_string},
    {"own", own},
    {"with-text", with_text},
    {"plain", plain},
    {"both", both},
    {"virtual-base", virtual_base},
    {"virtual-text", virtual_text},
    {"no-memory", no_memory},
    {"system-error", system_error},
    {"no-such-file", no_such_file},
    {"bad-function", bad_function},
    {"bad-optional", bad_optional},
    {"bad-variant", bad_variant},
    {"bad-any", bad_any},
    {"bad-number", bad_number},
    {"nested", nested},
    {"rethrown", rethrown},
    {"by-future", by_future},
    {"by-promise", by_promise},
    {"in-thread", in_thread},
    {"through-noexcept", through_noexcept},
    {"in-destructor", in_destructor},
    {"two-at-once", two_at_once},
    {"terminates", terminates},
    {"nothing-to-throw", nothing_to_throw},
    {"joinable", joinable},
    {"pure-virtual", pure_virtual},
    {"caught-before", caught_before},
};

}  // namespace

DIES_BY(ways)
