#include <sys/stat.h>

#include "capture/test_import.h"
#include "capture/test_sync.h"

namespace obit {
namespace {

using testing::Compressed;
using testing::Core;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::kMachine;
using testing::Raw;
using testing::Succeeds;
using testing::TargetOf;

class ImportCoreTest : public testing::ImportCoreTest {
 protected:
  void ImportBeside(const std::function<void(const Fd& incoming, const std::string& id)>& what,
                    const std::function<bool()>& enough);
};

TEST_F(ImportCoreTest, OpensNoStoreForWhatIsNoCore) {
  const auto store = []() -> Result<Store> {
    ADD_FAILURE() << "it is no core";
    return Refuse(ENOENT, "none");
  };
  for (const std::string_view text : {"", "junk",
                                      "\x7f"
                                      "ELF"})
    EXPECT_THAT(
        obit::ImportCore(TargetOf(store), Write("file", text), {}, [](std::uint64_t, std::uint64_t) {}),
        FailsWith(EBADMSG));
}

TEST_F(ImportCoreTest, MakesTheRecordFromTheNotes) {
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

TEST_F(ImportCoreTest, KnowsAMinimalCoreOfManyThreads) {
  CoreBuilder builder(kMachine);
  builder.AddNote("CORE", NT_PRSTATUS, Raw(elf_prstatus{}));
  for (int i = 0; i < 200; ++i) builder.AddNote("LINUX", NT_X86_XSTATE, std::vector<std::byte>(12 << 10));
  const std::uint64_t mapping[] = {0x10000, 0x20000, PF_R | PF_W};
  builder.AddNote("obit", 0x6f626974, Raw(mapping));
  const std::vector<std::byte> memory(4096);
  builder.AddSegment(0x10000, PF_R | PF_W, memory, memory.size());
  const auto core = builder.Build();
  const auto crash = Import(Write("core", std::string(testing::TextOf(core))));
  ASSERT_THAT(crash, Succeeds());
  const auto record = store_.Load(*crash);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal);
  EXPECT_EQ(record->capture.detail, Detail::kMinimal);
}

TEST_F(ImportCoreTest, TakesAStoredCoreWithItsSeekTable) {
  const auto first = Import(Write("core", Core()));
  ASSERT_THAT(first, Succeeds());
  const auto second = Import(store_.PathOf(*first) + "/" + kCoreFile);
  ASSERT_THAT(second, Succeeds());
  EXPECT_EQ(Stored(*second), Core());
}

TEST_F(ImportCoreTest, HolesCostNothing) {
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

TEST_F(ImportCoreTest, KeepsATruncatedCoreAndSaysSo) {
  const auto crash = Import(Write("core", Core().substr(0, 2 << 20)));
  ASSERT_THAT(crash, Succeeds());
  const auto record = store_.Load(*crash);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.reason,
            fmt::format("the file ends after {} of {} bytes", 2 << 20, Core().size()));
  EXPECT_EQ(record->capture.promised_bytes, Core().size());
  EXPECT_EQ(record->process.comm, "imgproxy");
}

TEST_F(ImportCoreTest, LeavesNothingWhenItIsKilled) {
  const std::string path = Write("core", Core());
  testing::Child import(::fork());
  if (import.pid() == 0) {
    (void)obit::ImportCore(TargetOf([&] { return Store::Open(store_.path()); }), path, {},
                           [](std::uint64_t done, std::uint64_t) {
                             if (done > (1 << 20)) ::raise(SIGKILL);
                           });
    ::_exit(0);
  }
  ASSERT_EQ(import.Wait(), SIGKILL);
  ExpectNothingLeft();
  EXPECT_THAT(Import(path), Succeeds());
}

/// A store of another user, who looks for what root puts into incoming/ and does `what` with it, and imports
/// of root into it until `enough`.
void ImportCoreTest::ImportBeside(const std::function<void(const Fd& incoming, const std::string& id)>& what,
                                  const std::function<bool()>& enough) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  for (const char* name : {"", "/crashes", "/incoming"})
    ASSERT_EQ(::chown((store_.path() + name).c_str(), 61000, 61000), 0);
  const std::string path = Write("core", Core(std::vector<std::byte>(1 << 16)));
  const testing::Child user(::fork());
  if (user.pid() == 0)
    for (const Fd incoming = *OpenAt(store_.root(), "incoming", O_RDONLY | O_DIRECTORY);;)
      for (const std::string& id : ListDirectory(incoming).value_or(std::vector<std::string>()))
        what(incoming, id);
  testing::Child importer(::fork());
  if (importer.pid() == 0) {
    ::alarm(60);
    for (int i = 0; i < 30 || (i < 300 && !enough()); ++i)
      if (const auto done = Import(path); !done && done.error().code != EPERM) ::_exit(done.error().code);
    ::_exit(0);
  }
  EXPECT_EQ(importer.Wait(), 0);
}

TEST_F(ImportCoreTest, WhatTheUserOfTheStorePutsThereIsNotWaitedFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ImportBeside([](const Fd& incoming,
                  const std::string& id) { ::mkfifoat(incoming.get(), (id + "/fifo").c_str(), 0600); },
               [] { return true; });
}

TEST_F(ImportCoreTest, GivesNoFileAwayThatItHasNotMade) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kThird = 61002;
  std::filesystem::create_directory(folder_ / "thirds");
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(::chown(Write(fmt::format("thirds/{}", i), "secret").c_str(), kThird, kThird), 0);
  const auto left = [&] {
    const auto all = std::filesystem::directory_iterator(folder_ / "thirds");
    return std::distance(begin(all), end(all));
  };
  ImportBeside(
      [&, next = 0](const Fd& incoming, const std::string& id) mutable {
        const std::string from = fmt::format("{}/{}", folder_ / "thirds", next % 1000);
        if (::renameat2(AT_FDCWD, from.c_str(), incoming.get(), (id + "/planted").c_str(),
                        RENAME_NOREPLACE) == 0)
          ++next;
      },
      [&] { return left() < 1000; });
  int planted = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_.path())) {
    struct stat status{};
    if (entry.path().filename() != "planted" || ::lstat(entry.path().c_str(), &status) < 0) continue;
    ++planted;
    EXPECT_EQ(status.st_uid, kThird);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
  EXPECT_GT(planted, 0) << "nothing was tried";
}

TEST_F(ImportCoreTest, LeavesTheUserOfTheStoreNothingThatOnlyRootCanRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // Killed at any time, it leaves what that user's server can complete.
  ImportBeside(
      [&](const Fd& incoming, const std::string& id) {
        for (const char* name : {kCoreFile, kRecordFile}) {
          struct stat status{};
          if (::fstatat(incoming.get(), (id + "/" + name).c_str(), &status, 0) == 0 && status.st_uid == 0)
            (void)OpenAt(store_.root(), std::string("roots-") + name, O_WRONLY | O_CREAT, 0600);
        }
      },
      [] { return true; });
  for (const char* name : {kCoreFile, kRecordFile})
    EXPECT_FALSE(std::filesystem::exists(store_.path() + "/roots-" + name)) << name;
}

TEST_F(ImportCoreTest, TakesAFileOfAnyTime) {
  const std::string path = Write("core", Core(std::vector<std::byte>(1 << 16)));
  for (const auto& [seconds, day] : {std::pair<time_t, const char*>{9'223'372'037, "2262-04-11"},
                                     {13'569'465'600, "2262-04-11"},
                                     {-2'000'000'000, "1906-08-16"}}) {
    const timespec when[2] = {{seconds, 5}, {seconds, 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), when, 0), 0);
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    if (status.st_mtim.tv_sec != seconds) continue;  // the file system has no such times
    const auto crash = Import(path);
    ASSERT_THAT(crash, Succeeds()) << seconds;
    EXPECT_EQ(crash->day, day) << seconds;
    EXPECT_EQ(store_.CrashesOf(crash->day)->back().id.size(), crash->id.size()) << seconds;
  }
}

TEST_F(ImportCoreTest, IsDoneAlsoWhereTheDiskDoesNotSyncTheDay) {
  unsyncable = "/crashes";
  const auto crash = Import(Write("core", Core(std::vector<std::byte>(1 << 16))));
  unsyncable.clear();
  EXPECT_THAT(crash, Succeeds());
}

TEST_F(ImportCoreTest, RefusesWhatIsNoCore) {
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

TEST_F(ImportCoreTest, SaysWhatAFileIsThatIsNoCore) {
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

TEST_F(ImportCoreTest, AHoleOfTebibytesCostsNothingAndIsThereAfterAnotherImport) {
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

TEST_F(ImportCoreTest, RefusesEveryCutOfTheHead) {
  const std::string core = Core(std::vector<std::byte>(64, std::byte{7}));
  const std::size_t table_ends = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
  for (std::size_t n = 0; n < table_ends; n += 7)
    EXPECT_THAT(Import(Write("core", core.substr(0, n))), FailsWith(EBADMSG)) << n;
  ExpectNothingLeft();
}

TEST_F(ImportCoreTest, RefusesAHeadThatIsAHole) {
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
