#include "capture/minimal_plan.h"

#include <cstring>
#include <map>

#include <elf.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "capture/kept_memory.h"
#include "elf/core_builder.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kText = 0x400000, kData = 0x500000, kBss = 0x502000, kHeap = 0x1000000,
                        kThread = 0x7f0000000000, kLoader = 0x7f1000000000, kStack = 0x7ffe00000000,
                        kVdso = 0x300000;
constexpr std::uint64_t kHeapBytes = 8 << 20, kThreadBytes = 2 << 20, kStackBytes = 4 << 20;
constexpr std::uint64_t kSp = kStack + kStackBytes - 64 * kPage,
                        kThreadSp = kThread + kThreadBytes - 8 * kPage,
                        kBlock = kThread + kThreadBytes - 0x900;

/// A process with a program, a heap, two threads and the loader's lists. All of its memory is filled.
class Process {
 public:
  Process() {
    Map(kText, 4 * kPage, PF_R | PF_X);
    Map(kData, 2 * kPage, PF_R | PF_W);
    Map(kBss, 2 * kPage, PF_R | PF_W);
    Map(kHeap, kHeapBytes, PF_R | PF_W);
    Map(kThread, kThreadBytes, PF_R | PF_W);
    Map(kLoader, 4 * kPage, PF_R | PF_W);
    Map(kStack, kStackBytes, PF_R | PF_W);
    Map(kVdso, 2 * kPage, PF_R | PF_X);
    for (auto& [begin, mapping] : mappings_)
      for (std::size_t page = 0; page < mapping.bytes.size(); page += kPage)
        mapping.bytes[page + 8] = std::byte{1};
    // What leads from the auxiliary vector to the libraries.
    Put(kText, Elf64_Phdr{.p_type = PT_DYNAMIC, .p_vaddr = kData + 0x100 - kText});
    Put(kText + sizeof(Elf64_Phdr), Elf64_Phdr{.p_type = PT_PHDR, .p_vaddr = 0});
    Put(kData + 0x100, Elf64_Dyn{.d_tag = DT_DEBUG, .d_un = {.d_val = kBss + 0x40}});
    Put(kBss + 0x40, std::uint64_t{1});        // r_version
    Put(kBss + 0x48, std::uint64_t{kLoader});  // r_map
    Put(kLoader + 24, kLoader + 2 * kPage);    // l_next
    Put(kLoader + 8, kHeap + 100 * kPage);     // l_name
    Put(kLoader + 2 * kPage + 24, std::uint64_t{0});
    Put(kBlock + 8, kHeap + 200 * kPage + 16);  // the vector of thread-local variables
    Put(kHeap + 200 * kPage, std::uint64_t{2});
    Put(kHeap + 200 * kPage + 32, kHeap + 300 * kPage);
  }

  template <class T>
  void Put(std::uint64_t address, const T& value) {
    auto& [begin, mapping] = *std::prev(mappings_.upper_bound(address));
    std::memcpy(mapping.bytes.data() + (address - begin), &value, sizeof value);
  }
  user_regs_struct crashed{.rsp = kSp}, other{.rsp = kThreadSp, .fs_base = kBlock};
  std::vector<user_regs_struct> more;

  [[nodiscard]] Bytes Core() const {
    CoreBuilder builder(EM_X86_64);
    AddThread(builder, 100, crashed);
    prpsinfo_t info{};
    info.pr_pid = 100;
    builder.AddNote("CORE", NT_PRPSINFO, std::as_bytes(std::span(&info, 1)));
    const std::uint64_t auxv[] = {AT_PHDR,         kText,
                                  AT_PHNUM,        2,
                                  AT_PHENT,        sizeof(Elf64_Phdr),
                                  AT_RANDOM,       kStack + kStackBytes - 100,
                                  AT_SYSINFO_EHDR, kVdso,
                                  AT_NULL,         0};
    builder.AddNote("CORE", NT_AUXV, std::as_bytes(std::span(auxv)));
    const std::uint64_t files[] = {2, kPage, kText, kText + 4 * kPage, 0, kData, kData + 2 * kPage, 4};
    Bytes note;
    note.insert(note.end(), std::as_bytes(std::span(files)).begin(), std::as_bytes(std::span(files)).end());
    for (const char c : std::string_view("/bin/it\0/bin/it\0", 16)) note.push_back(static_cast<std::byte>(c));
    builder.AddNote("CORE", NT_FILE, note);
    AddThread(builder, 101, other);
    pid_t tid = 102;
    for (const user_regs_struct& registers : more) AddThread(builder, tid++, registers);
    for (const auto& [begin, mapping] : mappings_)
      builder.AddSegment(begin, mapping.flags, mapping.bytes, mapping.bytes.size());
    return builder.Build();
  }

 private:
  struct Mapping {
    std::uint32_t flags;
    Bytes bytes;
  };
  void Map(std::uint64_t begin, std::uint64_t bytes, std::uint32_t flags) {
    mappings_[begin] = {flags, Bytes(bytes)};
  }
  static void AddThread(CoreBuilder& builder, pid_t tid, const user_regs_struct& registers) {
    prstatus_t status{};
    status.pr_pid = tid;
    std::memcpy(&status.pr_reg, &registers, sizeof registers);
    builder.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
  }
  std::map<std::uint64_t, Mapping> mappings_;
};

/// Counts how often it is looked at.
class CountingView final : public MemoryView {
 public:
  explicit CountingView(CoreReader& core) : view_(core) {}
  PageScan Scan(const ProcessMapping& mapping, PageKind kind, std::uint64_t begin,
                std::uint64_t end) override {
    ++looks;
    return view_.Scan(mapping, kind, begin, end);
  }
  bool Read(const ProcessMapping& mapping, std::uint64_t address, std::span<std::byte> out) override {
    ++looks;
    return view_.Read(mapping, address, out);
  }
  std::uint64_t looks = 0;

 private:
  StoredView view_;
};

/// What is kept of a process, by the way that goes for stored cores.
class Kept {
 public:
  explicit Kept(const Process& process, const MinimalLimits& limits = {}) : Kept(process.Core(), limits) {}
  explicit Kept(const Bytes& stored, const MinimalLimits& limits = {},
                const std::vector<Mapping>* maps = nullptr) {
    CoreReader core = *CoreReader::Open(testing::StoredFile(stored));
    CoreHead head = HeadForMinimal();
    std::vector<std::byte> bytes(1 << 20);
    bytes.resize(*core.ReadAt(0, bytes));
    head.Feed(bytes);
    EXPECT_TRUE(head.complete());
    const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
    const ProcessMap map(head, notes, maps);
    CountingView view(core);
    for (const CoreRun& run : PlanMinimal(view, map, notes, ElfClass::k64, limits)) {
      ranges_.Add(run.address, run.address + run.file_bytes);
      told_.Add(run.address, run.address + run.bytes);
      bytes_ += run.file_bytes;
    }
    looks_ = view.looks;
  }
  /// It has a value for it, if only zero.
  [[nodiscard]] bool Tells(std::uint64_t address) const { return told_.Has(address); }
  [[nodiscard]] std::uint64_t looks() const { return looks_; }
  [[nodiscard]] bool Has(std::uint64_t address) const { return ranges_.Has(address); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  AddressSet ranges_, told_;
  std::uint64_t bytes_ = 0, looks_ = 0;
};

TEST(PlanMinimal, KeepsTheVdsoAndNothingElseThatIsMappedInItsPlace) {
  const Bytes core = Process().Core();
  EXPECT_TRUE(Kept(core).Has(kVdso + kPage));
  std::vector<Mapping> maps{{.begin = kVdso, .end = kVdso + 2 * kPage, .executable = true, .name = "[vdso]"}};
  EXPECT_TRUE(Kept(core, {}, &maps).Has(kVdso + kPage));
  for (const Mapping& other : {Mapping{.inode = 7, .name = "/mnt/fuse/never"}, Mapping{.name = ""}}) {
    maps[0].inode = other.inode;
    maps[0].name = other.name;
    EXPECT_FALSE(Kept(core, {}, &maps).Has(kVdso + kPage))
        << "to read it may wait for whoever has the file: " << other.name;
  }
}

TEST(PlanMinimal, KeepsTheStacksFromTheirPointersOn) {
  const Kept kept((Process()));
  EXPECT_TRUE(kept.Has(kSp - 128)) << "the red zone";
  EXPECT_TRUE(kept.Has(kStack + kStackBytes - 1));
  EXPECT_FALSE(kept.Has(kSp - 2 * kPage));
  EXPECT_TRUE(kept.Has(kThreadSp));
  EXPECT_TRUE(kept.Has(kBlock + 0x8ff)) << "its control block";
  EXPECT_FALSE(kept.Has(kThreadSp - 2 * kPage));
}

TEST(PlanMinimal, CapsDeepStacks) {
  Process process;
  process.crashed.rsp = kStack + kPage;
  process.other.rsp = kThread + kPage;
  const Kept kept(process, {.crashing_stack = 1 << 20, .stack = 256 << 10});
  EXPECT_TRUE(kept.Has(kStack + kPage + (1 << 20) - 2 * kPage));
  EXPECT_FALSE(kept.Has(kStack + kPage + (1 << 20) + kPage));
  EXPECT_TRUE(kept.Has(kThread + kPage + (256 << 10) - 2 * kPage));
  EXPECT_FALSE(kept.Has(kThread + kPage + (256 << 10) + kPage));
  EXPECT_TRUE(kept.Has(kBlock));
}

TEST(PlanMinimal, KeepsTheLoadersLists) {
  const Kept kept((Process()));
  EXPECT_TRUE(kept.Has(kText)) << "the program's headers";
  EXPECT_FALSE(kept.Has(kText + kPage)) << "its code is in its file";
  EXPECT_TRUE(kept.Has(kData + 0x100));
  EXPECT_TRUE(kept.Has(kBss + 0x40));
  EXPECT_TRUE(kept.Has(kLoader));
  EXPECT_TRUE(kept.Has(kLoader + 2 * kPage));
  EXPECT_FALSE(kept.Has(kLoader + 3 * kPage));
  EXPECT_TRUE(kept.Has(kHeap + 100 * kPage)) << "a name";
}

TEST(PlanMinimal, KeepsThreadLocalVariablesOfLibraries) {
  const Kept kept((Process()));
  EXPECT_TRUE(kept.Has(kHeap + 200 * kPage)) << "their vector";
  EXPECT_TRUE(kept.Has(kHeap + 300 * kPage));
  EXPECT_FALSE(kept.Has(kHeap + 201 * kPage));
}

TEST(PlanMinimal, FollowsThePointersOfTheCrashingThread) {
  Process process;
  process.crashed.rdi = kHeap + 500 * kPage + 0x200;
  process.Put(kHeap + 500 * kPage + 0x208, kHeap + 600 * kPage + 0x100);
  process.Put(kHeap + 600 * kPage + 0x100, kHeap + 700 * kPage);
  process.Put(kHeap + 700 * kPage, kHeap + 800 * kPage);
  process.Put(kSp + 0x100, kHeap + 900 * kPage);
  process.other.rdi = kHeap + 1000 * kPage + 0x200;
  process.Put(kHeap + 1000 * kPage + 0x208, kHeap + 1100 * kPage);
  const Kept kept(process);
  for (const std::uint64_t page : {500, 600, 700, 900, 1000})
    EXPECT_TRUE(kept.Has(kHeap + page * kPage)) << page;
  for (const std::uint64_t page : {800, 1100, 550}) EXPECT_FALSE(kept.Has(kHeap + page * kPage)) << page;
}

TEST(PlanMinimal, KeepsTheStackBelowAnAlternateOne) {
  Process process;
  process.crashed.rsp = kHeap + 1500 * kPage;     // sigaltstack(2)
  process.Put(kHeap + 1500 * kPage + 0xa0, kSp);  // the frame of the signal has what was
  const Kept kept(process);
  EXPECT_TRUE(kept.Has(kHeap + 1500 * kPage));
  EXPECT_TRUE(kept.Has(kSp));
  EXPECT_TRUE(kept.Has(kStack + kStackBytes - 1));
  EXPECT_FALSE(kept.Has(kSp - 2 * kPage));
}

TEST(PlanMinimal, LeavesRoomForWhatTheCrashingThreadPointsTo) {
  Process process;
  for (std::uint64_t i = 0; i < 20; ++i) process.more.push_back({.rsp = kHeap + i * 64 * kPage});
  process.crashed.rdi = kLoader + 3 * kPage + 0x100;
  EXPECT_TRUE(Kept(process, {.all = 200 * kPage}).Has(kLoader + 3 * kPage));
}

TEST(PlanMinimal, SearchesTheStacksOfFewCoroutines) {
  Process process;
  for (std::uint64_t i = 0; i < 600; ++i)
    process.more.push_back({.rsp = kHeap + i * 2 * kPage, .fs_base = kBlock});
  process.crashed.rdi = kLoader + 3 * kPage + 0x100;
  EXPECT_TRUE(Kept(process).Has(kLoader + 3 * kPage));
}

TEST(PlanMinimal, EndsAtItsLimits) {
  Process process;
  for (std::uint64_t i = 0; i < 2000; ++i) process.Put(kSp + i * 8, kHeap + i * kPage);
  EXPECT_LE(Kept(process, {.pointed = 40 * kPage}).bytes() - Kept(process, {.pointed = 0}).bytes(),
            42 * kPage);
  EXPECT_LE(Kept(process, {.all = 50 * kPage}).bytes(), 50 * kPage);
  EXPECT_GT(Kept(process).bytes(), 300 * kPage);
}

TEST(PlanMinimal, EndsWhereListsGoRound) {
  Process process;
  process.Put(kLoader + 2 * kPage + 24, std::uint64_t{kLoader});  // l_next
  process.Put(kHeap + 200 * kPage, UINT64_MAX);                   // so many blocks of variables
  EXPECT_TRUE(Kept(process).Has(kLoader));
  process.Put(kBss + 0x40, std::uint64_t{2});                 // r_version: more namespaces follow
  process.Put(kBss + 0x40 + 40, std::uint64_t{kBss + 0x40});  // this one
  EXPECT_TRUE(Kept(process).Has(kLoader));
  process.Put(kBlock + 8, std::uint64_t{8});
  process.crashed.rsp = UINT64_MAX - 8;
  process.other.fs_base = UINT64_MAX - 16;
  EXPECT_TRUE(Kept(process).Has(kLoader));
}

TEST(PlanMinimal, FollowsAListOnlyOnce) {
  Process process;
  constexpr std::uint64_t kLibraries = 2000;  // more than the pages that are held
  for (std::uint64_t i = 0; i < kLibraries; ++i)
    process.Put(kHeap + i * kPage + 24, kHeap + (i + 1) % kLibraries * kPage);  // l_next
  process.Put(kBss + 0x48, std::uint64_t{kHeap});                               // r_map
  for (std::uint64_t i = 0; i < 100; ++i)
    process.Put(kData + 0x100 + i * sizeof(Elf64_Dyn),
                Elf64_Dyn{.d_tag = DT_DEBUG, .d_un = {.d_val = kBss + 0x40}});
  const Kept kept(process);
  EXPECT_TRUE(kept.Has(kHeap + (kLibraries - 1) * kPage));
  EXPECT_LT(kept.looks(), 5 * kLibraries);
}

TEST(PlanMinimal, LetsEveryThreadHaveItsRegistersBlockAndTopOfStack) {
  Process process;
  process.crashed.rsp = kStack + kStackBytes - kPage;
  constexpr std::uint64_t kThreads = 16, kEach = 64 * kPage;
  for (std::uint64_t i = 0; i < kThreads; ++i)
    process.more.push_back({.rsp = kHeap + i * kEach + 8 * kPage, .fs_base = kHeap + i * kEach + 40 * kPage});
  const Kept kept(process, {.all = 150 * kPage});
  EXPECT_LE(kept.bytes(), 150 * kPage);
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    EXPECT_TRUE(kept.Has(process.more[i].fs_base)) << i;
    EXPECT_TRUE(kept.Has(process.more[i].rsp + 3 * kPage)) << i;
  }
}

TEST(PlanMinimal, TakesNoControlBlockBelowTheStackForItsEnd) {
  Process process;
  process.other = {.rsp = kThread - 0x8000, .fs_base = kThread - 0x4000};  // an overflow, and a lie
  const Kept kept(process, {.stack = 64 << 10});
  EXPECT_TRUE(kept.Has(kThread));
  EXPECT_FALSE(kept.Has(kThread + (64 << 10) + kPage));
}

TEST(PlanMinimal, SaysNothingOfWhatACutCoreLacks) {
  Process process;
  Bytes core = process.Core();
  core.resize(core.size() - 32 * kPage - 100);  // of the stack
  const Kept kept(core);
  EXPECT_TRUE(kept.Has(kSp));
  EXPECT_TRUE(kept.Has(kStack + kStackBytes - 34 * kPage));
  EXPECT_FALSE(kept.Tells(kStack + kStackBytes - 33 * kPage)) << "a half page";
  EXPECT_FALSE(kept.Tells(kStack + kStackBytes - kPage));
  core = process.Core();
  core.resize(core.size() - kStackBytes - kThreadBytes - kHeapBytes - 6 * kPage - 100);  // up to the data
  const Kept less(core);
  EXPECT_TRUE(less.Has(kData));
  EXPECT_FALSE(less.Tells(kData + kPage));
  EXPECT_FALSE(less.Tells(kSp));
}

TEST(PlanMinimal, EndsInAMappingThatHasNoEnd) {
  // The mapping is the program's, and the core has next to nothing of it: a file can claim that.
  CoreBuilder builder(EM_X86_64);
  prstatus_t status{};
  user_regs_struct registers{.rsp = UINT64_MAX - 3, .fs_base = UINT64_MAX - 100};
  std::memcpy(&status.pr_reg, &registers, sizeof registers);
  builder.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
  const std::uint64_t auxv[] = {AT_PHDR, kText, AT_RANDOM, kText, AT_NULL, 0};
  builder.AddNote("CORE", NT_AUXV, std::as_bytes(std::span(auxv)));
  const std::uint64_t files[] = {2, kPage, kText, kText + kPage, 0, kData, UINT64_MAX, 4};
  Bytes note(std::as_bytes(std::span(files)).begin(), std::as_bytes(std::span(files)).end());
  for (const char c : std::string_view("/bin/it\0/bin/it\0", 16)) note.push_back(static_cast<std::byte>(c));
  builder.AddNote("CORE", NT_FILE, note);
  builder.AddSegment(kText, PF_R | PF_X, Bytes(kPage), kPage);
  builder.AddSegment(kData, PF_R | PF_W, Bytes(kPage), UINT64_MAX - kData);
  CoreReader core = *CoreReader::Open(testing::StoredFile(builder.Build()));
  CoreHead head = HeadForMinimal();
  std::vector<std::byte> bytes(64 * 1024);
  bytes.resize(*core.ReadAt(0, bytes));
  head.Feed(bytes);
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  const ProcessMap map(head, notes, nullptr);
  StoredView view(core);
  EXPECT_LE(PlanMinimal(view, map, notes, ElfClass::k64, {}).size(), 3U);
}

}  // namespace
}  // namespace obit
