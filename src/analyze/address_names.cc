#include "analyze/address_names.h"

#include <algorithm>

#include <elf.h>

#include "base/text.h"

namespace obit {
namespace {

/// brk memory begins at a random distance behind the program (arch_randomize_brk: up to 32 MiB on x86-64 for
/// programs at the usual place, 1 GiB else), bytes.
constexpr std::uint64_t kHeapDistanceMax = 1ULL << 30;

std::uint64_t Auxiliary(const CoreImage& image, std::uint64_t type) {
  const auto found = image.notes().auxv.find(type);
  return found == image.notes().auxv.end() ? 0 : found->second;
}

}  // namespace

AddressNames::AddressNames(const CoreImage& image, const Modules& modules)
    : image_(image), modules_(modules) {
  main_stack_ = Auxiliary(image, AT_RANDOM);  // the kernel puts these bytes above the first frame
  for (const CoreNotes::Thread& thread : image.notes().threads) {
    const CoreImage::Mapping* segment = thread.sp ? image.Find(*thread.sp) : nullptr;
    if (segment != nullptr && !modules.Find(*thread.sp))
      stacks_.push_back({segment->begin, segment->end, thread.tid});
  }
  std::ranges::stable_sort(stacks_, {}, &Stack::begin);
  const auto exe = modules.Find(Auxiliary(image, AT_PHDR));
  if (!exe) return;
  const std::uint64_t end = modules.files(*exe).module.end;
  for (const CoreImage::Mapping& segment : image.mappings()) {
    if (segment.begin < end) continue;
    if (segment.begin - end > kHeapDistanceMax) break;
    // Next to the program: the end of its .bss.
    if (segment.begin == end || (segment.flags & PF_W) == 0 || modules.Find(segment.begin)) continue;
    heap_ = segment.begin;
    break;
  }
}

std::string AddressNames::MappingName(std::uint64_t address) const {
  if (const auto module = modules_.Find(address)) return modules_.files(*module).module.path;
  for (const CoreNotes::File& file : image_.notes().files)
    if (address >= file.begin && address < file.end) return file.path;
  const CoreImage::Mapping* segment = image_.Find(address);
  if (segment == nullptr) return {};
  const auto holds = [&](std::uint64_t other) { return other >= segment->begin && other < segment->end; };
  if (holds(main_stack_)) return "[stack]";
  if (holds(heap_)) return "[heap]";
  const auto stack = std::ranges::lower_bound(stacks_, segment->begin, {}, &Stack::begin);
  if (stack != stacks_.end() && stack->begin == segment->begin)
    return fmt::format("[stack of thread {}]", stack->tid);
  return {};
}

std::string AddressNames::Describe(std::uint64_t address) const {
  if (const auto module = modules_.Find(address)) {
    const std::string& path = modules_.files(*module).module.path;
    return fmt::format("{} +{:#x}", FileNameOf(path), modules_.OffsetOf(*module, address));
  }
  if (image_.Find(address) == nullptr) return {};
  std::string name = MappingName(address);
  return name.empty() ? "anonymous memory" : name;
}

}  // namespace obit
