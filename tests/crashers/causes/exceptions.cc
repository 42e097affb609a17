// Exceptions that nobody catches, and ends without one: the argument says which. No two of them have their
// text in the same place.

#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "cause.h"

namespace shop {
/// Its text is in a std::string, which what() gives.
struct DatabaseError : std::exception {
  explicit DatabaseError(std::string text) : text_(static_cast<std::string&&>(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  int code_ = 7;
  std::string text_;
};
/// what() is a literal.
struct Closed : std::exception {
  const char* what() const noexcept override { return "the shop is closed"; }
};
/// std::exception is not its first base.
struct Order {
  virtual ~Order() = default;
  long number = 4711;
};
struct OrderError : Order, std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// A base that is shared.
struct Base : virtual std::runtime_error {
  Base() : std::runtime_error("base") {}
};
struct Shared : Base {
  Shared() : std::runtime_error("the till is stuck") {}
};
/// Nothing says which of its texts is meant.
struct Refusal {
  int article;
  std::string customer;
};
}  // namespace shop

FUNCTION long compute() { throw std::domain_error("computed in another thread"); }

FUNCTION long future() {
  return std::async(std::launch::async, compute).get();  // future dies here
}

FUNCTION long kept() {
  std::exception_ptr first;
  try {
    throw shop::DatabaseError("kept and thrown again, later on");
  } catch (...) {
    first = std::current_exception();
  }
  std::rethrow_exception(first);  // kept dies here
}

FUNCTION long task() {
  std::packaged_task<long()> work([]() -> long { throw shop::Closed(); });
  work();
  return work.get_future().get();  // task dies here
}

FUNCTION long own_text() {
  throw shop::DatabaseError("table users is missing");  // own_text dies here
}

FUNCTION long short_text() {
  throw shop::DatabaseError("no table");  // short_text dies here
}

FUNCTION long literal() {
  throw shop::Closed();  // literal dies here
}

FUNCTION long second_base() {
  throw shop::OrderError("order 4711 is lost");  // second_base dies here
}

FUNCTION long virtual_base() {
  throw shop::Shared();  // virtual_base dies here
}

FUNCTION long nested() {
  try {
    compute();
  } catch (...) {
    std::throw_with_nested(std::runtime_error("outer words"));  // nested dies here
  }
  return 0;
}

FUNCTION long system_error() {
  throw std::system_error(std::make_error_code(std::errc::no_space_on_device),
                          "write orders");  // system_error dies here
}

FUNCTION long plain() {
  throw shop::Refusal{7, "a customer without a name"};  // plain dies here
}

FUNCTION long joinable() {
  std::thread worker([] { pause(); });
  return 0;  // joinable dies here
}

FUNCTION long no_exit() noexcept {
  const long result = compute();  // no_exit dies here
  STAY();
  return result;
}

FUNCTION long nothing_to_rethrow() {
  throw;  // nothing_to_rethrow dies here
}

FUNCTION long in_handler() {
  try {
    compute();
  } catch (...) {
    std::terminate();  // in_handler dies here
  }
  return 0;
}

FUNCTION long terminate() {
  try {
    compute();
  } catch (const std::exception&) {
  }
  std::terminate();  // terminate dies here
}

FUNCTION long choose() {
  static const struct {
    const char* name;
    long (*function)();
  } kAll[] = {{"future", future},
              {"kept", kept},
              {"task", task},
              {"own_text", own_text},
              {"short_text", short_text},
              {"literal", literal},
              {"second_base", second_base},
              {"virtual_base", virtual_base},
              {"nested", nested},
              {"system_error", system_error},
              {"plain", plain},
              {"joinable", joinable},
              {"no_exit", no_exit},
              {"nothing_to_rethrow", nothing_to_rethrow},
              {"in_handler", in_handler},
              {"terminate", terminate}};
  for (const auto& one : kAll) {
    if (strcmp(arguments[0], one.name) != 0) continue;
    const long result = one.function();
    STAY();
    return result;
  }
  return 2;
}

DIES_IN(choose)
