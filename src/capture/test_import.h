#pragma once

// Cores to import, and a store for them: for import_test.cc and import_packed_test.cc.

#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/procfs.h>

#include "base/test_support.h"
#include "capture/import.h"
#include "crash/record_json.h"
#include "elf/core_builder.h"
#include "store/core_reader.h"

namespace obit::testing {

inline constexpr std::size_t kMemory = 3 << 20;  // more than one frame
inline constexpr std::uint16_t kMachine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__aarch64__)
    EM_AARCH64;
#else
    EM_NONE;
#endif

template <class T>
std::span<const std::byte> Raw(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

/// The core of a process 4711 named "imgproxy" that died of SIGSEGV, with `memory`.
inline std::string Core(std::span<const std::byte> memory) {
  CoreBuilder builder(kMachine);
  elf_prstatus thread{};
  thread.pr_pid = 4712;
  thread.pr_cursig = SIGSEGV;
  builder.AddNote("CORE", NT_PRSTATUS, Raw(thread));
  elf_prpsinfo process{};
  process.pr_pid = 4711;
  process.pr_uid = 33;
  std::strcpy(process.pr_fname, "imgproxy");
  std::strcpy(process.pr_psargs, "imgproxy --port 8080");
  builder.AddNote("CORE", NT_PRPSINFO, Raw(process));
  builder.AddSegment(0x10000, PF_R | PF_W, memory, memory.size());
  const auto core = builder.Build();
  return std::string(TextOf(core));
}

/// Memory that compresses, but not to nothing.
inline std::string Core() {
  std::vector<std::byte> memory(kMemory);
  std::uint32_t state = 1;
  for (std::byte& byte : memory) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 29);
  return Core(memory);
}

/// As a program packs it that knows this filter of libarchive.
inline std::string Compressed(const std::string& plain, const char* filter) {
  const std::unique_ptr<archive, decltype(&archive_write_free)> writer(archive_write_new(),
                                                                       &archive_write_free);
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            &archive_entry_free);
  archive_write_set_format_raw(writer.get());
  archive_write_add_filter_by_name(writer.get(), filter);
  std::string out(plain.size() + (1 << 20), '\0');
  std::size_t used = 0;
  archive_write_open_memory(writer.get(), out.data(), out.size(), &used);
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_write_header(writer.get(), entry.get());
  EXPECT_EQ(archive_write_data(writer.get(), plain.data(), plain.size()),
            static_cast<la_ssize_t>(plain.size()));
  archive_write_close(writer.get());
  out.resize(used);
  return out;
}

inline ImportTarget TargetOf(std::function<Result<Store>()> store) {
  return {std::move(store), [](const Store& opened) { return ReadNumbers(opened, 1, true); }};
}

/// A store, and files to import into it.
class ImportCoreTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view content) {
    const std::string path = folder_ / name;
    const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_THAT(WriteAll(file, content), Succeeds());
    return path;
  }
  Result<CrashLocation> Import(const std::string& path) {
    const ImportedCrash done =
        OBIT_TRY(obit::ImportCore(TargetOf([&] { return Store::Open(store_.path()); }), path, {},
                                  [&](std::uint64_t bytes, std::uint64_t total) {
                                    done_ = bytes;
                                    total_ = total;
                                  }));
    EXPECT_FALSE(done.committed.unnumbered);
    if (const auto stored = store_.Load(done.committed.location)) {
      EXPECT_EQ(RecordToJson(done.record), RecordToJson(*stored));
    }
    return done.committed.location;
  }
  /// What is stored of a crash, unpacked.
  std::string Stored(const CrashLocation& crash) {
    auto reader = CoreReader::Open(*store_.OpenFile(crash, kCoreFile));
    std::string plain(reader->size(), '\0');
    EXPECT_THAT(reader->ReadAt(0, std::as_writable_bytes(std::span(plain))), Succeeds());
    return plain;
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(store_.Days()->size(), 0u);
    EXPECT_TRUE(std::filesystem::is_empty(store_.path() + "/incoming"));
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace obit::testing
