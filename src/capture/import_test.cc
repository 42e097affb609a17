#include "capture/import.h"

#include <csignal>
#include <cstring>
#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include "base/test_support.h"
#include "elf/core_builder.h"
#include "store/core_reader.h"
#include "store/index.h"

namespace obit {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;

constexpr std::size_t kMemory = 3 << 20;  // more than one frame
constexpr std::uint16_t kMachine =
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
std::string Core(std::span<const std::byte> memory) {
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
  return std::string(testing::TextOf(core));
}

/// Memory that compresses, but not to nothing.
std::string Core() {
  std::vector<std::byte> memory(kMemory);
  std::uint32_t state = 1;
  for (std::byte& byte : memory) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 29);
  return Core(memory);
}

std::string Compressed(const std::string& plain, const char* filter) {
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

class ImportCore : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view content) {
    const std::string path = folder_ / name;
    const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_THAT(WriteAll(file, content), Succeeds());
    return path;
  }
  Result<CrashLocation> Import(const std::string& path) {
    const Committed done = OBIT_TRY(obit::ImportCore([&] { return Store::Open(store_.path()); }, path, {},
                                                     [&](std::uint64_t bytes, std::uint64_t total) {
                                                       done_ = bytes;
                                                       total_ = total;
                                                     }));
    EXPECT_FALSE(done.unnumbered);
    return done.location;
  }
  /// What is stored of a crash, unpacked.
  std::string Stored(const CrashLocation& crash) {
    auto reader = CoreReader::Open(*store_.OpenFile(crash, kCoreFile));
    std::string plain(reader->size(), '\0');
    EXPECT_THAT(reader->ReadAt(0, std::as_writable_bytes(std::span(plain))), Succeeds());
    return plain;
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(ListFolders(store_)->crashes.empty());
    EXPECT_TRUE(std::filesystem::is_empty(store_.path() + "/incoming"));
  }

  testing::TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  std::uint64_t done_ = 0, total_ = 0;
};

TEST_F(ImportCore, OpensNoStoreForWhatIsNoCore) {
  const auto store = []() -> Result<Store> {
    ADD_FAILURE() << "it is no core";
    return Refuse(ENOENT, "none");
  };
  for (const std::string_view text : {"", "junk",
                                      "\x7f"
                                      "ELF"})
    EXPECT_THAT(obit::ImportCore(store, Write("file", text), {}, [](std::uint64_t, std::uint64_t) {}),
                FailsWith(EBADMSG));
}

TEST_F(ImportCore, MakesTheRecordFromTheNotes) {
  const std::string path = Write("core.4711", Core());
  const timespec when[2] = {{1'700'000'000, 5}, {1'700'000'000, 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), when, 0), 0);
  const auto crash = Import(path);
  ASSERT_THAT(crash, Succeeds());
  const auto record = store_.Load(*crash);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->time, 1'700'000'000'000'000'005);
  EXPECT_EQ(crash->day, "2023-11-14");
  EXPECT_EQ(record->process.pid, 4711);
  EXPECT_EQ(record->process.comm, "imgproxy");
  EXPECT_EQ(record->process.uid, 33u);
  EXPECT_EQ(record->thread.tid, 4712);
  EXPECT_EQ(record->signal.number, SIGSEGV);
  EXPECT_EQ(record->capture.transport, "file");
  EXPECT_EQ(record->capture.method, CaptureMethod::kImport);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.reason, "");
  EXPECT_EQ(record->capture.core_bytes, Core().size());
  EXPECT_EQ(record->host.name, "");  // of which host it is, nobody knows
  EXPECT_EQ(Stored(*crash), Core());
}

TEST_F(ImportCore, UnpacksByContentNotByName) {
  for (const char* filter : {"zstd", "lz4", "xz", "gzip"}) {
    const auto crash = Import(Write("core", Compressed(Core(), filter)));
    ASSERT_THAT(crash, Succeeds()) << filter;
    EXPECT_EQ(store_.Load(*crash)->capture.outcome, CrashOutcome::kFull) << filter;
    EXPECT_EQ(Stored(*crash), Core()) << filter;
    EXPECT_EQ(done_, total_) << filter;
  }
}

TEST_F(ImportCore, TakesAStoredCoreWithItsSeekTable) {
  const auto first = Import(Write("core", Core()));
  ASSERT_THAT(first, Succeeds());
  const auto second = Import(store_.PathOf(*first) + "/" + kCoreFile);
  ASSERT_THAT(second, Succeeds());
  EXPECT_EQ(Stored(*second), Core());
}

TEST_F(ImportCore, HolesCostNothing) {
  const std::string path = Write("core", Core(std::vector<std::byte>(64, std::byte{7})));
  // A core of 64 GiB, nearly all of it a hole.
  constexpr std::uint64_t kSize = 64ULL << 30;
  std::string bytes = ReadFile(path, 1 << 20)->text;
  auto* program_headers = reinterpret_cast<Elf64_Phdr*>(bytes.data() + sizeof(Elf64_Ehdr));
  program_headers[1].p_filesz = program_headers[1].p_memsz = kSize;
  Write("core", bytes);
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(program_headers[1].p_offset + kSize)), 0);
  const auto crash = Import(path);
  ASSERT_THAT(crash, Succeeds());
  const auto record = store_.Load(*crash);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.core_bytes, program_headers[1].p_offset + kSize);
  EXPECT_LT(record->capture.stored_bytes, 4u << 20);
}

TEST_F(ImportCore, KeepsATruncatedCoreAndSaysSo) {
  const auto crash = Import(Write("core", Core().substr(0, 2 << 20)));
  ASSERT_THAT(crash, Succeeds());
  const auto record = store_.Load(*crash);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.reason,
            fmt::format("the file ends after {} of {} bytes", 2 << 20, Core().size()));
  EXPECT_EQ(record->capture.promised_bytes, Core().size());
  EXPECT_EQ(record->process.comm, "imgproxy");
}

TEST_F(ImportCore, KeepsWhatUnpacksOfACutCompressedFile) {
  for (const char* filter : {"zstd", "xz", "gzip"}) {  // lz4 has blocks of 4 MiB: half of one is nothing
    const std::string whole = Compressed(Core(), filter);
    const auto crash = Import(Write("core", whole.substr(0, whole.size() / 2)));
    ASSERT_THAT(crash, Succeeds()) << filter;
    const auto record = store_.Load(*crash);
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated) << filter;
    EXPECT_THAT(record->capture.reason, HasSubstr("the file ends after")) << filter;
  }
}

TEST_F(ImportCore, RefusesWhatIsNoCore) {
  EXPECT_THAT(Import(Write("empty", "")), FailsWith(EBADMSG));
  EXPECT_THAT(Import(Write("text", "hello\n")), FailsWith(EBADMSG));
  EXPECT_THAT(Import(Write("long", std::string(1 << 20, 'x'))), FailsWith(EBADMSG));
  EXPECT_THAT(Import(Write("zero", std::string(1 << 20, '\0'))), FailsWith(EBADMSG));
  EXPECT_THAT(Import(Write("packed", Compressed("hello", "gzip"))), FailsWith(EBADMSG));
  EXPECT_THAT(Import("/proc/self/exe"), FailsWith(EBADMSG));
  EXPECT_THAT(Import(folder_ / "absent"), FailsWith(ENOENT));
  EXPECT_THAT(Import(folder_.path()), FailsWith(EISDIR));
  ExpectNothingLeft();
}

TEST_F(ImportCore, SaysWhatAFileIsThatIsNoCore) {
  std::string text;
  while (text.size() < 1441) text += "some words of text\n";
  std::string tar(2048, '\0');
  tar.replace(0, 4, "core");
  tar.replace(257, 5, "ustar");
  std::string program = Core();
  const auto with_type = [&](int type) {
    program[16] = static_cast<char>(type);
    return program;
  };
  const std::string core = Core();
  const std::pair<std::string, const char*> cases[] = {
      {"", "it is empty"},
      {text, "it is text, not a core"},
      {Compressed(text, "gzip"), "it is text, not a core"},
      {Compressed(text, "zstd"), "it is text, not a core"},
      {Compressed("", "xz"), "it is empty"},
      {tar, "it is a tar archive"},
      {Compressed(tar, "gzip"), "it is a tar archive"},
      {with_type(ET_EXEC), "it is a program, not a core"},
      {with_type(ET_DYN), "it is a program or a shared library, not a core"},
      {with_type(ET_REL), "it is an object file, not a core"},
      {Compressed(with_type(ET_DYN), "zstd"), "it is a program or a shared library"},
      {std::string(5000, '\0'), "it begins with zeros"},
      {std::string(5000, '\x01'), "it is no ELF file"},
      {"BZh9" + std::string(100, '\x01'), "compressed by bzip2"},
      {core.substr(0, 3), "it is no ELF file"},
      {core.substr(0, 10), "it ends within its ELF header"},
      {core.substr(0, 63), "ends within its program headers"},
      {core.substr(0, 100), "it is a core that ends within its program headers, after 100 bytes"},
      {Compressed(core.substr(0, 100), "gzip"), "ends within its program headers, after 100 bytes"},
  };
  for (const auto& [content, said] : cases) {
    const auto crash = Import(Write("file", content));
    ASSERT_THAT(crash, FailsWith(EBADMSG)) << said;
    EXPECT_THAT(crash.error().what, HasSubstr(said));
  }
  EXPECT_THAT(Import(folder_.path()).error().what, HasSubstr("it is a folder"));
  EXPECT_THAT(Import("/dev/null").error().what, HasSubstr("it is empty"));
  ExpectNothingLeft();
}

TEST_F(ImportCore, AHoleOfTebibytesCostsNothingAndIsThereAfterAnotherImport) {
  constexpr std::uint64_t kSize = 3ULL << 40;
  const std::string path = Write("core", Core(std::vector<std::byte>(64, std::byte{7})));
  std::string bytes = ReadFile(path, 1 << 20)->text;
  auto* program_headers = reinterpret_cast<Elf64_Phdr*>(bytes.data() + sizeof(Elf64_Ehdr));
  program_headers[1].p_filesz = program_headers[1].p_memsz = kSize;
  Write("core", bytes);
  const std::uint64_t whole = program_headers[1].p_offset + kSize;
  {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_THAT(WriteAllAt(file, testing::BytesOf("the end"), whole - 7), Succeeds());
  }
  auto crash = Import(path);
  for (const char* what : {"plain", "stored", "cut"}) {
    ASSERT_THAT(crash, Succeeds()) << what;
    const auto record = store_.Load(*crash);
    EXPECT_LT(record->capture.stored_bytes, 64u << 10) << what;
    EXPECT_GT(record->capture.omitted_bytes, kSize - (1 << 20)) << what;
    auto reader = CoreReader::Open(*store_.OpenFile(*crash, kCoreFile));
    ASSERT_THAT(reader, Succeeds()) << what;
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << what;
    ASSERT_EQ(reader->size(), whole) << what;
    std::string end(7, ' ');
    ASSERT_THAT(reader->ReadAt(whole - 7, std::as_writable_bytes(std::span(end))), Succeeds());
    EXPECT_EQ(end, "the end") << what;
    std::string stored = ReadFile(store_.PathOf(*crash) + "/" + kCoreFile, 1 << 20)->text;
    if (what == std::string_view("stored")) stored.resize(stored.size() - 60);  // without list and table
    crash = Import(Write("core.zst", stored));
  }
}

TEST_F(ImportCore, RefusesEveryCutOfTheHead) {
  const std::string core = Core(std::vector<std::byte>(64, std::byte{7}));
  const std::size_t table_ends = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
  for (std::size_t n = 0; n < table_ends; n += 7)
    EXPECT_THAT(Import(Write("core", core.substr(0, n))), FailsWith(EBADMSG)) << n;
  ExpectNothingLeft();
}

TEST_F(ImportCore, RefusesAHeadThatIsAHole) {
  std::string bytes = Core({});
  auto* program_headers = reinterpret_cast<Elf64_Phdr*>(bytes.data() + sizeof(Elf64_Ehdr));
  program_headers[0].p_filesz = 1ULL << 60;  // notes without end
  const std::string path = Write("core", bytes);
  ASSERT_EQ(::truncate(path.c_str(), 1LL << 42), 0);  // ext4 has files of 16 TiB
  const auto crash = Import(path);
  ASSERT_THAT(crash, FailsWith(EBADMSG));
  EXPECT_THAT(crash.error().what, HasSubstr("its head has a hole"));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace obit
