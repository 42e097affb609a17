#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "analyze/core_image.h"
#include "analyze/modules.h"

namespace obit {

/// Says in a few words what lies at an address.
class AddressNames {
 public:
  AddressNames(const CoreImage& image, const Modules& modules);

  /// The mapping that `address` lies in: a path, "[stack]", "[stack of thread 4711]", "[heap]"; empty if it
  /// has no name or there is none. A core does not name mappings without a file: stacks are known by the
  /// threads' stack pointers, the heap by its place behind the program.
  [[nodiscard]] std::string MappingName(std::uint64_t address) const;
  /// What a register points to: "libc.so.6 +0x1234", "[stack]", "anonymous memory"; empty if to nothing.
  [[nodiscard]] std::string Describe(std::uint64_t address) const;

 private:
  struct Stack {
    std::uint64_t begin, end;
    pid_t tid;
  };
  const CoreImage& image_;
  const Modules& modules_;
  std::vector<Stack> stacks_;                // by begin
  std::uint64_t main_stack_ = 0, heap_ = 0;  // addresses in them; 0: not known
};

}  // namespace obit
