#include "analyze/environment.h"

#include <algorithm>

#include <elf.h>

namespace obit {
namespace {

constexpr std::size_t kVariablesMax = 1024, kVariableBytesMax = 4096;
constexpr std::uint64_t kWord = sizeof(std::uint64_t);
/// Between the auxiliary vector and the random bytes: alignment and the platform's name, bytes.
constexpr std::uint64_t kVectorToRandomMax = 4096;

/// Where the auxiliary vector begins; 0 if it is not found. The notes hold a copy: it begins with the same
/// two words.
std::uint64_t FindVector(CoreImage& image) {
  const auto& vector = image.notes().auxv;
  const auto random = vector.find(AT_RANDOM), ehdr = vector.find(AT_SYSINFO_EHDR),
             phdr = vector.find(AT_PHDR);
  if (random == vector.end() || phdr == vector.end()) return 0;
  const std::uint64_t top = random->second & ~(kWord - 1);
  for (std::uint64_t at = top; at >= kWord && top - at < kVectorToRandomMax; at -= kWord) {
    // x86-64 puts the vDSO first; without one it is AT_HWCAP.
    const std::uint64_t first = ehdr != vector.end() ? AT_SYSINFO_EHDR : AT_HWCAP;
    if (image.ReadWord(at) != first) continue;
    const auto value = vector.find(first);
    if (value != vector.end() && image.ReadWord(at + kWord) == value->second) return at;
  }
  return 0;
}

}  // namespace

std::vector<std::string> FindEnvironment(CoreImage& image, EnvironmentKept kept) {
  std::vector<std::string> variables;
  const std::uint64_t vector = kept == EnvironmentKept::kNone ? 0 : FindVector(image);
  if (vector < 2 * kWord || image.ReadWord(vector - kWord) != 0)
    return variables;  // behind the list is a null pointer
  for (std::uint64_t at = vector - 2 * kWord; variables.size() < kVariablesMax && at >= kWord; at -= kWord) {
    const auto pointer = image.ReadWord(at);
    if (!pointer || *pointer == 0) break;  // before the list is the one that ends the arguments
    auto text = image.ReadText(*pointer, kVariableBytesMax);
    if (text && IsKept(*text, kept)) variables.push_back(std::move(*text));
  }
  std::ranges::reverse(variables);
  return variables;
}

}  // namespace obit
