#pragma once

// What the fuzz targets of the analysis share: a process of a few mappings, all of whose memory and registers
// are the input. Included by fuzz targets only.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include <elf.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "base/fd.h"
#include "elf/core_builder.h"
#include "store/core_writer.h"

namespace obit::fuzz {

inline constexpr std::uint64_t kCode = 0x400000, kData = 0x600000, kStack = 0x7ffffffde000;

/// The input, taken from its beginning; zeros once there is no more.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  template <class T>
  T Take() {
    T value{};
    const auto bytes = TakeBytes(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::span<const std::byte> TakeBytes(std::size_t count) {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return std::as_bytes(taken);
  }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

 private:
  std::span<const std::uint8_t> left_;
};

/// A thread, and what is mapped at kCode (to execute), kData and kStack (to write): a third of what is left
/// of the input each.
struct Process {
  explicit Process(Input& input) : registers(input.Take<user_regs_struct>()) {
    const std::size_t third = input.left() / 3;
    code = input.TakeBytes(third);
    data = input.TakeBytes(third);
    stack = input.TakeBytes(input.left());
  }

  /// Its core.zst.
  [[nodiscard]] Fd Core() const {
    CoreBuilder builder(EM_X86_64);
    prstatus_t status{};
    status.pr_pid = 4711;
    std::memcpy(&status.pr_reg, &registers, sizeof registers);
    builder.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
    builder.AddSegment(kCode, PF_R | PF_X, code, Pages(code));
    builder.AddSegment(kData, PF_R | PF_W, data, Pages(data));
    builder.AddSegment(kStack, PF_R | PF_W, stack, Pages(stack));
    Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
    CoreWriter writer(file, {.threads = 1});
    if (!writer.Append(builder.Build()) || !writer.Finish()) file.Reset();
    return file;
  }

  user_regs_struct registers;
  std::span<const std::byte> code, data, stack;

 private:
  static std::uint64_t Pages(std::span<const std::byte> bytes) { return bytes.size() / 4096 * 4096 + 4096; }
};

}  // namespace obit::fuzz
