#include "analyze/calls.h"

#include <array>

namespace obit {
namespace {

/// The bytes before `address`, as many as the longest call has; empty if they are not known, or no code.
std::span<const std::byte> CodeBefore(CoreImage& image, std::uint64_t address,
                                      std::array<std::byte, Architecture::kCallMax>& room) {
  const auto bytes = std::span(room).first(image.arch().call_max);
  if (address < bytes.size() || !image.IsExecutable(address - 1)) return {};
  return image.Read(address - bytes.size(), bytes) == bytes.size() ? bytes : std::span<std::byte>();
}

}  // namespace

bool IsReturnAddress(CoreImage& image, std::uint64_t address) {
  std::array<std::byte, Architecture::kCallMax> room;
  return image.arch().ends_with_call(CodeBefore(image, address, room));
}

std::optional<std::uint64_t> TargetOfCallBefore(CoreImage& image, std::uint64_t address) {
  std::array<std::byte, Architecture::kCallMax> room;
  return image.arch().target_of_call(CodeBefore(image, address, room), address);
}

}  // namespace obit
