#include "elf/core_notes.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string_view>

#include <elf.h>

#include "arch/architecture.h"
#include "base/byte_reader.h"

namespace obit {
namespace {

constexpr std::size_t kThreadsMax = 1 << 16, kFilesMax = 1 << 17, kAuxvMax = 256, kMappingsMax = 1 << 18;

/// The note of the mappings: its name, with its NUL, and its type, "obit" as ASCII. BFD, and so gdb, goes by
/// the type of a note and not by its name: 1 would be a thread to it.
constexpr std::string_view kObitName("obit\0", 5);
constexpr std::uint32_t kMappingsType = 0x6f626974;

constexpr std::string_view kKernelName("CORE\0", 5);

/// One mapping there, whatever the class of the core.
struct NotedMapping {
  std::uint64_t begin, end, flags;
};

class NoteParser {
 public:
  NoteParser(ElfClass elf_class, std::uint16_t machine) : wide_(elf_class == ElfClass::k64) {
    const Architecture* known = FindArchitecture(machine);
    if (known != nullptr && (known->word == 8) == wide_) notes_.arch = known;
  }

  CoreNotes Parse(std::span<const std::byte> bytes) {
    ByteReader reader(bytes);
    while (const auto header = reader.Read<Elf64_Nhdr>()) {  // the same three words in both classes
      const auto name = reader.Take(header->n_namesz);
      if (!name || !reader.AlignTo(4)) break;
      const auto payload = reader.Take(header->n_descsz);
      if (!payload) break;
      if (IsNamed(*name, kKernelName)) Note(header->n_type, *payload);
      if (IsNamed(*name, kObitName) && header->n_type == kMappingsType) Mappings(*payload);
      if (!reader.AlignTo(4)) break;
    }
    return std::move(notes_);
  }

 private:
  static bool IsNamed(std::span<const std::byte> name, std::string_view wanted) {
    return name.size() == wanted.size() && std::memcmp(name.data(), wanted.data(), wanted.size()) == 0;
  }

  std::optional<std::uint64_t> Word(ByteReader& reader) const {  // a `long` of the crashed program
    if (wide_) return reader.Read<std::uint64_t>();
    const auto narrow = reader.Read<std::uint32_t>();
    return narrow ? std::optional<std::uint64_t>(*narrow) : std::nullopt;
  }

  template <class T>
  static std::optional<T> At(std::span<const std::byte> bytes, std::size_t offset) {
    if (offset > bytes.size()) return std::nullopt;
    return ByteReader(bytes.subspan(offset)).Read<T>();
  }

  std::optional<std::uint64_t> WordAt(std::span<const std::byte> bytes, std::size_t offset) const {
    if (offset > bytes.size()) return std::nullopt;
    ByteReader reader(bytes.subspan(offset));
    return Word(reader);
  }

  static std::string TextAt(std::span<const std::byte> bytes, std::size_t offset, std::size_t size) {
    if (offset > bytes.size() || size > bytes.size() - offset) return {};
    const auto* begin = reinterpret_cast<const char*>(bytes.data()) + offset;
    return std::string(begin, ::strnlen(begin, size));
  }

  void Note(std::uint32_t type, std::span<const std::byte> payload) {
    switch (type) {
      case NT_PRSTATUS:
        return Status(payload);
      case NT_PRPSINFO:
        return ProcessInfo(payload);
      case NT_SIGINFO:
        return SignalInfo(payload);
      case NT_AUXV:
        return AuxiliaryVector(payload);
      case NT_FILE:
        return MappedFiles(payload);
      default:
        return;
    }
  }

  void Status(std::span<const std::byte> payload) {
    const auto signal = At<std::int16_t>(payload, 12);
    const auto tid = At<std::int32_t>(payload, wide_ ? 32 : 24);
    if (!signal || !tid || notes_.threads.size() >= kThreadsMax) return;
    CoreNotes::Thread thread{*tid, *signal, std::nullopt, std::nullopt, {}};
    if (notes_.arch != nullptr) {
      const std::size_t word = wide_ ? 8 : 4;
      thread.sp = WordAt(payload, notes_.arch->status_registers_at + notes_.arch->sp * word);
      thread.pc = WordAt(payload, notes_.arch->status_registers_at + notes_.arch->pc * word);
      for (std::size_t i = 0; i < notes_.arch->register_count; ++i) {
        const auto value = WordAt(payload, notes_.arch->status_registers_at + i * word);
        if (!value) {  // half a set would be taken for a whole one
          thread.registers.clear();
          break;
        }
        thread.registers.push_back(*value);
      }
    }
    notes_.threads.push_back(thread);
  }

  void ProcessInfo(std::span<const std::byte> payload) {
    if (notes_.process) return;
    CoreNotes::Process process;
    const auto pid = At<std::int32_t>(payload, wide_ ? 24 : 12);
    const auto parent = At<std::int32_t>(payload, wide_ ? 28 : 16);
    if (!pid || !parent) return;
    process.pid = *pid;
    process.parent = *parent;
    if (wide_) {
      process.uid = At<std::uint32_t>(payload, 16);
      process.gid = At<std::uint32_t>(payload, 20);
    } else {  // 16-bit ids there
      process.uid = At<std::uint16_t>(payload, 8);
      process.gid = At<std::uint16_t>(payload, 10);
    }
    process.comm = TextAt(payload, wide_ ? 40 : 28, 16);
    process.arguments = TextAt(payload, wide_ ? 56 : 44, 80);
    notes_.process = std::move(process);
  }

  void SignalInfo(std::span<const std::byte> payload) {
    const auto number = At<std::int32_t>(payload, 0), code = At<std::int32_t>(payload, 8);
    if (!number || !code || notes_.signal) return;
    CoreNotes::Signal signal{*number, *code, std::nullopt, std::nullopt, std::nullopt, std::nullopt};
    const std::size_t fields = wide_ ? 16 : 12;
    const bool from_kernel = *code > 0 && *code != 0x80;  // SI_KERNEL has no address
    const bool fault = *number == SIGSEGV || *number == SIGBUS || *number == SIGILL || *number == SIGFPE ||
                       *number == SIGTRAP;
    if (from_kernel && fault) {
      signal.address = WordAt(payload, fields);
    } else if (from_kernel && *number == SIGSYS) {  // _call_addr, then _syscall
      signal.system_call = At<std::int32_t>(payload, fields + (wide_ ? 8 : 4));
    } else if (*code == SI_USER || *code == SI_QUEUE || *code == SI_MESGQ || *code == SI_TKILL) {
      signal.sender_pid = At<std::int32_t>(payload, fields);
      signal.sender_uid = At<std::uint32_t>(payload, fields + 4);
    }
    notes_.signal = signal;
  }

  void AuxiliaryVector(std::span<const std::byte> payload) {
    ByteReader reader(payload);
    while (notes_.auxv.size() < kAuxvMax) {
      const auto type = Word(reader), value = Word(reader);
      if (!type || !value || *type == AT_NULL) return;
      notes_.auxv.emplace(*type, *value);
    }
  }

  void MappedFiles(std::span<const std::byte> payload) {
    ByteReader reader(payload);
    const auto count = Word(reader), page = Word(reader);
    if (!count || !page || *count > kFilesMax || !notes_.files.empty()) return;
    std::vector<CoreNotes::File> files;
    for (std::uint64_t i = 0; i < *count; ++i) {
      const auto begin = Word(reader), end = Word(reader), offset = Word(reader);
      if (!begin || !end || !offset) return;
      files.push_back({*begin, *end, *offset * *page, {}});
    }
    for (CoreNotes::File& file : files) {
      const auto path = reader.TakeCString();
      if (!path) return;
      file.path = *path;
    }
    notes_.files = std::move(files);
  }

  /// Those that are in order, up to the first that is not.
  void Mappings(std::span<const std::byte> payload) {
    if (notes_.mappings) return;
    ByteReader reader(payload);
    std::vector<CoreNotes::Mapping>& mappings = notes_.mappings.emplace();
    std::uint64_t end = 0;
    while (mappings.size() < kMappingsMax) {
      const auto one = reader.Read<NotedMapping>();
      if (!one || one->begin < end || one->end <= one->begin) return;
      end = one->end;
      mappings.push_back({one->begin, one->end, static_cast<std::uint32_t>(one->flags)});
    }
  }

  bool wide_;
  CoreNotes notes_;
};

}  // namespace

std::string CoreNotes::ExecutablePath() const {
  const auto headers = auxv.find(AT_PHDR);
  if (headers == auxv.end()) return {};
  for (const File& file : files)
    if (headers->second >= file.begin && headers->second < file.end) return file.path;
  return {};
}

std::size_t MappingsNoteBytes(std::size_t mappings) {
  constexpr std::size_t kNameBytes = (kObitName.size() + 3) / 4 * 4;
  return sizeof(Elf64_Nhdr) + kNameBytes + std::min(mappings, kMappingsMax) * sizeof(NotedMapping);
}

void AppendMappingsNote(std::vector<std::byte>& notes, std::span<const CoreNotes::Mapping> mappings) {
  const auto append = [&](std::span<const std::byte> bytes) {
    notes.insert(notes.end(), bytes.begin(), bytes.end());
    notes.resize((notes.size() + 3) / 4 * 4);
  };
  const std::size_t count = std::min(mappings.size(), kMappingsMax);
  const Elf64_Nhdr header{static_cast<Elf64_Word>(kObitName.size()),
                          static_cast<Elf64_Word>(count * sizeof(NotedMapping)), kMappingsType};
  append(std::as_bytes(std::span(&header, 1)));
  append(std::as_bytes(std::span(kObitName)));
  for (const CoreNotes::Mapping& mapping : mappings.first(count)) {
    const NotedMapping one{mapping.begin, mapping.end, mapping.flags};
    append(std::as_bytes(std::span(&one, 1)));
  }
}

CoreNotes ParseCoreNotes(std::span<const std::byte> bytes, ElfClass elf_class, std::uint16_t machine) {
  return NoteParser(elf_class, machine).Parse(bytes);
}

}  // namespace obit
