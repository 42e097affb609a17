#include "analyze/core_image.h"

#include <algorithm>
#include <cstring>

#include <elf.h>

#include "analyze/loaded_files.h"
#include "base/io.h"
#include "elf/put_in_order.h"
#include "store/recover.h"

namespace obit {
namespace {

constexpr std::uint64_t kSegmentsMax = 1 << 20;
constexpr std::uint64_t kNotesMax = 256 << 20;  // 65,536 threads with AVX-512 state
/// Unpacked bytes come and go in blocks: words of many stacks are read, far from each other.
constexpr std::uint64_t kBlockBytes = 32 * 1024;
constexpr std::size_t kBlocksMax = 1024;

template <class Part>
const Part* PartAt(std::span<const Part> parts, std::uint64_t address) {
  auto after = std::ranges::upper_bound(parts, address, {}, &Part::begin);
  if (after == parts.begin() || address >= (--after)->end) return nullptr;
  return &*after;
}

}  // namespace

Result<CoreImage> CoreImage::Open(Fd core) {
  OpenedCore opened = OBIT_TRY(OpenStoredCore(std::move(core)));
  CoreImage image(std::move(opened.reader));
  image.unreadable_ = std::move(opened.unreadable);
  OBIT_TRY(image.ReadHead());
  if (image.notes_.files.empty()) image.notes_.files = FindLoadedFiles(image);
  return image;
}

Result<void> CoreImage::ReadHead() {
  Elf64_Ehdr header{};
  if (OBIT_TRY(core_.ReadAt(0, std::as_writable_bytes(std::span(&header, 1)))) != sizeof header ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_CORE)
    return Refuse(EBADMSG, "it is not a core");
  arch_ = FindArchitecture(header.e_machine);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || arch_ == nullptr ||
      !arch_->can_unwind())
    return Refuse(EOPNOTSUPP, "it is a core of another machine than x86-64 and aarch64");
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return Refuse(EBADMSG, "its program headers are odd");
  std::uint64_t count = header.e_phnum;
  if (count == PN_XNUM) {
    Elf64_Shdr section{};
    if (OBIT_TRY(core_.ReadAt(header.e_shoff, std::as_writable_bytes(std::span(&section, 1)))) ==
        sizeof section)
      count = section.sh_info;
  }
  // Only what is there takes memory, whatever the headers say.
  const auto bytes_from = [&](std::uint64_t offset) { return core_.size() - std::min(offset, core_.size()); };
  std::vector<Elf64_Phdr> headers(
      std::min({count, kSegmentsMax, bytes_from(header.e_phoff) / sizeof(Elf64_Phdr)}));
  const auto got = OBIT_TRY(core_.ReadAt(header.e_phoff, std::as_writable_bytes(std::span(headers))));
  headers.resize(got / sizeof(Elf64_Phdr));
  std::uint64_t notes_left = kNotesMax;  // of all segments: each may be the same bytes once more
  for (const Elf64_Phdr& one : headers) {
    if (one.p_type == PT_NOTE && notes_.threads.empty()) {
      std::vector<std::byte> notes(std::min({one.p_filesz, notes_left, bytes_from(one.p_offset)}));
      notes.resize(OBIT_TRY(core_.ReadAt(one.p_offset, notes)));
      notes_left -= notes.size();
      notes_ = ParseCoreNotes(notes, ElfClass::k64, header.e_machine);
    } else if (one.p_type == PT_LOAD && one.p_memsz > 0 && one.p_vaddr <= UINT64_MAX - one.p_memsz) {
      const std::uint64_t end = one.p_vaddr + one.p_memsz;
      segments_.push_back({one.p_vaddr, end, one.p_offset, std::min(one.p_filesz, one.p_memsz)});
      mappings_.push_back({one.p_vaddr, end, one.p_flags});
    }
  }
  PutInOrder(segments_);
  if (notes_.mappings) {
    mappings_.clear();
    for (const CoreNotes::Mapping& one : *notes_.mappings)
      mappings_.push_back({one.begin, one.end, one.flags});
  }
  PutInOrder(mappings_);
  return {};
}

const CoreImage::Mapping* CoreImage::Find(std::uint64_t address) const {
  return PartAt<Mapping>(mappings_, address);
}

const CoreImage::Segment* CoreImage::FindSegment(std::uint64_t address) const {
  return PartAt<Segment>(segments_, address);
}

bool CoreImage::Promises(std::uint64_t address) const {
  const Segment* segment = FindSegment(address);
  return segment != nullptr && address - segment->begin < segment->bytes;
}

bool CoreImage::IsExecutable(std::uint64_t address) const {
  const Mapping* mapping = Find(address);
  return mapping != nullptr && (mapping->flags & PF_X) != 0;
}

void CoreImage::AddFile(std::uint64_t begin, std::uint64_t end, std::uint64_t offset, const Fd& file) {
  if (begin < end) files_.insert_or_assign(begin, File{end, offset, &file});
}

std::size_t CoreImage::ReadCore(std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t number = (offset + done) / kBlockBytes, inside = (offset + done) % kBlockBytes;
    if (number != last_number_) {
      auto found = blocks_.find(number);
      if (found == blocks_.end()) {
        if (blocks_.size() >= kBlocksMax) blocks_.clear();
        std::vector<std::byte> block(kBlockBytes);
        block.resize(core_.ReadAt(number * kBlockBytes, block).value_or(0));
        found = blocks_.emplace(number, std::move(block)).first;
      }
      last_number_ = number;
      last_block_ = &found->second;
    }
    if (inside >= last_block_->size()) break;  // the core ends here, or is damaged
    const std::size_t n = std::min(out.size() - done, last_block_->size() - inside);
    std::memcpy(out.data() + done, last_block_->data() + inside, n);
    done += n;
  }
  return done;
}

std::size_t CoreImage::ReadFile(std::uint64_t address, std::span<std::byte> out) const {
  auto after = files_.upper_bound(address);
  if (after == files_.begin() || address >= (--after)->second.end) return 0;
  const auto& [begin, file] = *after;
  if (file.offset > INT64_MAX - (file.end - begin)) return 0;
  const auto room = out.first(std::min<std::uint64_t>(out.size(), file.end - address));
  return ReadFullAt(*file.file, room, file.offset + (address - begin)).value_or(0);
}

std::size_t CoreImage::Read(std::uint64_t address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size() && address <= UINT64_MAX - done) {
    const std::uint64_t at = address + done;
    const auto wanted = out.subspan(done);
    std::size_t got = 0;
    const Segment* segment = FindSegment(at);
    const bool in_core = segment != nullptr && at - segment->begin < segment->bytes &&
                         segment->offset <= INT64_MAX - segment->bytes;
    if (in_core) {
      const std::uint64_t inside = at - segment->begin;
      got = ReadCore(segment->offset + inside,
                     wanted.first(std::min<std::uint64_t>(wanted.size(), segment->bytes - inside)));
    }
    // A core that ends early lacks code that it should have: that is still what the file has. (Pages that are
    // read-only and no code were made so after they had been written: addresses in them were relocated.)
    const Mapping* mapping = Find(at);
    const bool is_code = mapping != nullptr && (mapping->flags & (PF_X | PF_W)) == PF_X;
    if (got == 0 && (!in_core || is_code)) got = ReadFile(at, wanted);
    // Memory of a minimal core that never held anything: zeros are all it had.
    if (got == 0 && segment != nullptr && !in_core && is_minimal()) {
      got = static_cast<std::size_t>(std::min<std::uint64_t>(wanted.size(), segment->end - at));
      std::ranges::fill(wanted.first(got), std::byte{0});
    }
    if (got == 0) break;
    done += got;
  }
  return done;
}

std::optional<std::uint64_t> CoreImage::ReadWord(std::uint64_t address) {
  std::uint64_t word = 0;
  if (Read(address, std::as_writable_bytes(std::span(&word, 1))) != sizeof word) return std::nullopt;
  return word;
}

std::optional<std::string> CoreImage::ReadText(std::uint64_t address, std::size_t max) {
  std::string text(max, '\0');
  const std::size_t got = Read(address, std::as_writable_bytes(std::span(text)));
  const std::size_t end = text.find('\0');
  if (end >= got) return std::nullopt;
  text.resize(end);
  return text;
}

}  // namespace obit
