#include "elf/core_notes.h"

#include <csignal>
#include <cstring>
#include <filesystem>

#include <elf.h>
#include <sys/procfs.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using testing::Succeeds;

/// A PT_NOTE segment in the making.
class Notes {
 public:
  Notes& Add(std::uint32_t type, std::span<const std::byte> payload,
             std::string_view name = std::string_view("CORE\0", 5)) {
    const Elf64_Nhdr header{static_cast<Elf64_Word>(name.size()), static_cast<Elf64_Word>(payload.size()),
                            type};
    Append(std::as_bytes(std::span(&header, 1)));
    Append(BytesOf(name));
    Append(payload);
    return *this;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void Append(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }
  std::vector<std::byte> bytes_;
};

/// The payload of a note, value by value.
class Payload {
 public:
  explicit Payload(std::size_t size = 0) : bytes_(size) {}
  template <class T>
  Payload& Put(std::size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
    return *this;
  }
  Payload& PutText(std::size_t at, std::string_view text) {
    std::memcpy(bytes_.data() + at, text.data(), text.size());
    return *this;
  }
  template <class T>
  Payload& Add(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    return Put(bytes_.size() - sizeof value, value);
  }
  Payload& AddText(std::string_view text) {
    bytes_.resize(bytes_.size() + text.size());
    return PutText(bytes_.size() - text.size(), text);
  }
  operator std::span<const std::byte>() const { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  std::vector<std::byte> bytes_;
};

CoreNotes Parse64(const Notes& notes) { return ParseCoreNotes(notes.bytes(), ElfClass::k64, EM_X86_64); }
CoreNotes Parse32(const Notes& notes) { return ParseCoreNotes(notes.bytes(), ElfClass::k32, EM_386); }

#if defined(__x86_64__)
std::span<const std::byte> StatusOf(const elf_prstatus& status) {
  return std::as_bytes(std::span(&status, 1));
}

TEST(ParseCoreNotes, ReadsThreadsByTheSystemsOwnStructure) {
  elf_prstatus first{}, second{};
  first.pr_pid = 4711;
  first.pr_cursig = SIGSEGV;
  auto& registers = reinterpret_cast<user_regs_struct&>(first.pr_reg);
  registers.rip = 0x401000;
  registers.rsp = 0x7ffc00001000;
  second.pr_pid = 4712;
  const CoreNotes notes =
      Parse64(Notes().Add(NT_PRSTATUS, StatusOf(first)).Add(NT_PRSTATUS, StatusOf(second)));
  ASSERT_EQ(notes.threads.size(), 2u);
  EXPECT_EQ(notes.threads[0].tid, 4711);
  EXPECT_EQ(notes.threads[0].signal, SIGSEGV);
  EXPECT_EQ(notes.threads[0].pc, 0x401000u);
  EXPECT_EQ(notes.threads[0].sp, 0x7ffc00001000u);
  EXPECT_EQ(notes.threads[1].tid, 4712);
}

TEST(ParseCoreNotes, ReadsTheProcessByTheSystemsOwnStructure) {
  elf_prpsinfo info{};
  info.pr_pid = 100;
  info.pr_ppid = 99;
  info.pr_uid = 1000;
  info.pr_gid = 1001;
  std::strcpy(info.pr_fname, "program");              // NOLINT: both fit
  std::strcpy(info.pr_psargs, "program --verbose ");  // NOLINT
  const CoreNotes notes = Parse64(Notes().Add(NT_PRPSINFO, std::as_bytes(std::span(&info, 1))));
  ASSERT_TRUE(notes.process);
  EXPECT_EQ(notes.process->pid, 100);
  EXPECT_EQ(notes.process->parent, 99);
  EXPECT_EQ(notes.process->uid, 1000u);
  EXPECT_EQ(notes.process->gid, 1001u);
  EXPECT_EQ(notes.process->comm, "program");
  EXPECT_EQ(notes.process->arguments, "program --verbose ");
}

TEST(ParseCoreNotes, ReadsTheSignalByTheSystemsOwnStructure) {
  siginfo_t fault{};
  fault.si_signo = SIGSEGV;
  fault.si_code = SEGV_MAPERR;
  fault.si_addr = reinterpret_cast<void*>(0x18);
  CoreNotes notes = Parse64(Notes().Add(NT_SIGINFO, std::as_bytes(std::span(&fault, 1))));
  ASSERT_TRUE(notes.signal);
  EXPECT_EQ(notes.signal->number, SIGSEGV);
  EXPECT_EQ(notes.signal->code, SEGV_MAPERR);
  EXPECT_EQ(notes.signal->address, 0x18u);
  EXPECT_FALSE(notes.signal->sender_pid);

  siginfo_t sent{};
  sent.si_signo = SIGSEGV;
  sent.si_code = SI_USER;
  sent.si_pid = 33;
  sent.si_uid = 44;
  notes = Parse64(Notes().Add(NT_SIGINFO, std::as_bytes(std::span(&sent, 1))));
  EXPECT_FALSE(notes.signal->address);
  EXPECT_EQ(notes.signal->sender_pid, 33);
  EXPECT_EQ(notes.signal->sender_uid, 44u);
}
#endif

TEST(ParseCoreNotes, KnowsNoAddressWhereTheKernelGivesNone) {
  const auto signal = [](int number, int code) {
    return *Parse64(Notes().Add(NT_SIGINFO,
                                Payload(128).Put(0, number).Put(8, code).Put(16, std::uint64_t{0x77})))
                .signal;
  };
  EXPECT_FALSE(signal(SIGSEGV, SI_KERNEL).address);
  EXPECT_FALSE(signal(SIGSYS, 1).address);
  EXPECT_FALSE(signal(SIGABRT, SI_TKILL).address);
  EXPECT_EQ(signal(SIGBUS, BUS_ADRERR).address, 0x77u);
  EXPECT_EQ(signal(SIGFPE, FPE_INTDIV).address, 0x77u);
}

TEST(ParseCoreNotes, KnowsNoSenderWhereTheKernelGivesNone) {
  const auto sender = [](int code) {
    return Parse64(Notes().Add(NT_SIGINFO, Payload(128).Put(0, SIGABRT).Put(8, code).Put(16, 33)))
        .signal->sender_pid;
  };
  EXPECT_EQ(sender(SI_TKILL), 33);
  EXPECT_EQ(sender(SI_QUEUE), 33);
  EXPECT_FALSE(sender(SI_TIMER));
  EXPECT_FALSE(sender(SI_SIGIO));
}

TEST(ParseCoreNotes, ReadsThe32BitLayout) {
  Notes raw;
  raw.Add(NT_PRSTATUS, Payload(144)
                           .Put(12, std::int16_t{SIGFPE})
                           .Put(24, 77)
                           .Put(72 + 12 * 4, 0x8048000u)
                           .Put(72 + 15 * 4, 0xffff1000u));
  raw.Add(NT_PRPSINFO, Payload(124)
                           .Put(8, std::uint16_t{65534})
                           .Put(10, std::uint16_t{65533})
                           .Put(12, 77)
                           .Put(16, 1)
                           .PutText(28, "narrow")
                           .PutText(44, "narrow -x"));
  raw.Add(NT_SIGINFO, Payload(128).Put(0, SIGFPE).Put(8, FPE_INTDIV).Put(12, 0x8048001u));
  raw.Add(NT_AUXV, Payload().Add(AT_PHDR).Add(0x8048034u).Add(AT_NULL).Add(0u));
  raw.Add(
      NT_FILE,
      Payload().Add(1u).Add(4096u).Add(0x8048000u).Add(0x8049000u).Add(2u).AddText({"/bin/narrow\0", 12}));
  const CoreNotes notes = Parse32(raw);
  ASSERT_EQ(notes.threads.size(), 1u);
  EXPECT_EQ(notes.threads[0].tid, 77);
  EXPECT_EQ(notes.threads[0].signal, SIGFPE);
  EXPECT_EQ(notes.threads[0].pc, 0x8048000u);
  EXPECT_EQ(notes.threads[0].sp, 0xffff1000u);
  ASSERT_TRUE(notes.process);
  EXPECT_EQ(notes.process->uid, 65534u);
  EXPECT_EQ(notes.process->gid, 65533u);
  EXPECT_EQ(notes.process->pid, 77);
  EXPECT_EQ(notes.process->comm, "narrow");
  EXPECT_EQ(notes.process->arguments, "narrow -x");
  ASSERT_TRUE(notes.signal);
  EXPECT_EQ(notes.signal->address, 0x8048001u);
  ASSERT_EQ(notes.files.size(), 1u);
  EXPECT_EQ(notes.files[0].offset, 8192u);
  EXPECT_EQ(notes.ExecutablePath(), "/bin/narrow");
}

TEST(ParseCoreNotes, ReadsNoRegistersOfAMachineThatItDoesNotKnow) {
  const Notes raw = Notes().Add(NT_PRSTATUS, Payload(400).Put(32, 5));
  const CoreNotes notes = ParseCoreNotes(raw.bytes(), ElfClass::k64, EM_RISCV);
  ASSERT_EQ(notes.threads.size(), 1u);
  EXPECT_EQ(notes.threads[0].tid, 5);
  EXPECT_FALSE(notes.threads[0].pc);
}

TEST(ParseCoreNotes, ReadsTheRegistersOfAarch64) {
  const Notes raw =
      Notes().Add(NT_PRSTATUS,
                  Payload(392).Put(112 + 31 * 8, std::uint64_t{0x5e}).Put(112 + 32 * 8, std::uint64_t{0x9c}));
  const CoreNotes notes = ParseCoreNotes(raw.bytes(), ElfClass::k64, EM_AARCH64);
  EXPECT_EQ(notes.threads.at(0).sp, 0x5eu);
  EXPECT_EQ(notes.threads.at(0).pc, 0x9cu);
}

TEST(ParseCoreNotes, ReadsTheAuxiliaryVectorUpToItsEnd) {
  const auto payload = Payload()
                           .Add(std::uint64_t{AT_SECURE})
                           .Add(std::uint64_t{1})
                           .Add(std::uint64_t{AT_NULL})
                           .Add(std::uint64_t{0})
                           .Add(std::uint64_t{AT_UID})
                           .Add(std::uint64_t{7});
  const CoreNotes notes = Parse64(Notes().Add(NT_AUXV, payload));
  EXPECT_EQ(notes.auxv.size(), 1u);
  EXPECT_EQ(notes.auxv.at(AT_SECURE), 1u);
}

Payload TwoFiles(std::uint64_t count) {
  return Payload()
      .Add(count)
      .Add(std::uint64_t{4096})
      .Add(std::uint64_t{0x1000})
      .Add(std::uint64_t{0x3000})
      .Add(std::uint64_t{0})
      .Add(std::uint64_t{0x8000})
      .Add(std::uint64_t{0x9000})
      .Add(std::uint64_t{3})
      .AddText({"/usr/bin/a\0/lib/b (deleted)\0", 28});
}

TEST(ParseCoreNotes, ReadsMappedFiles) {
  const CoreNotes notes = Parse64(Notes().Add(NT_FILE, TwoFiles(2)));
  ASSERT_EQ(notes.files.size(), 2u);
  EXPECT_EQ(notes.files[0].path, "/usr/bin/a");
  EXPECT_EQ(notes.files[1].begin, 0x8000u);
  EXPECT_EQ(notes.files[1].end, 0x9000u);
  EXPECT_EQ(notes.files[1].offset, 3 * 4096u);
  EXPECT_EQ(notes.files[1].path, "/lib/b (deleted)");
}

TEST(ParseCoreNotes, ReadsNoFilesIfTheirCountIsALie) {
  for (const std::uint64_t count :
       {std::uint64_t{3}, std::uint64_t{100'000}, std::uint64_t{1} << 40, UINT64_MAX})
    EXPECT_THAT(Parse64(Notes().Add(NT_FILE, TwoFiles(count))).files, IsEmpty()) << count;
}

TEST(ParseCoreNotes, ReadsNoFilesIfTheirNamesAreCut) {
  const Payload whole = TwoFiles(2);
  const std::span<const std::byte> bytes = whole;
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_THAT(Parse64(Notes().Add(NT_FILE, bytes.first(n))).files, IsEmpty()) << n;
}

TEST(ParseCoreNotes, FindsTheProgramByItsProgramHeaders) {
  const auto notes = [](std::uint64_t headers) {
    return Parse64(
        Notes().Add(NT_AUXV, Payload().Add(std::uint64_t{AT_PHDR}).Add(headers)).Add(NT_FILE, TwoFiles(2)));
  };
  EXPECT_EQ(notes(0x1000).ExecutablePath(), "/usr/bin/a");
  EXPECT_EQ(notes(0x2fff).ExecutablePath(), "/usr/bin/a");
  EXPECT_EQ(notes(0x3000).ExecutablePath(), "");
  EXPECT_EQ(Parse64(Notes().Add(NT_FILE, TwoFiles(2))).ExecutablePath(), "");
}

TEST(ParseCoreNotes, IgnoresNotesOfOthers) {
  const Payload status = Payload(336).Put(32, 5);
  EXPECT_THAT(Parse64(Notes().Add(NT_PRSTATUS, status, {"LINUX\0", 6})).threads, IsEmpty());
  EXPECT_THAT(Parse64(Notes().Add(NT_PRSTATUS, status, "CORE")).threads, IsEmpty());  // without its NUL
  EXPECT_THAT(Parse64(Notes().Add(NT_PRSTATUS, status, "")).threads, IsEmpty());
  EXPECT_EQ(Parse64(Notes().Add(NT_PRFPREG, status).Add(NT_PRSTATUS, status)).threads.size(), 1u);
}

TEST(ParseCoreNotes, KeepsTheFirstOfWhatShouldBeOne) {
  const CoreNotes notes = Parse64(Notes()
                                      .Add(NT_PRPSINFO, Payload(136).PutText(40, "first"))
                                      .Add(NT_PRPSINFO, Payload(136).PutText(40, "second"))
                                      .Add(NT_SIGINFO, Payload(128).Put(0, 11))
                                      .Add(NT_SIGINFO, Payload(128).Put(0, 6))
                                      .Add(NT_FILE, TwoFiles(2))
                                      .Add(NT_FILE, TwoFiles(1)));
  EXPECT_EQ(notes.process->comm, "first");
  EXPECT_EQ(notes.signal->number, 11);
  EXPECT_EQ(notes.files.size(), 2u);
}

TEST(ParseCoreNotes, TakesTextThatFillsItsField) {
  const CoreNotes notes = Parse64(Notes().Add(
      NT_PRPSINFO, Payload(136).PutText(40, std::string(16, 'c')).PutText(56, std::string(80, 'a'))));
  EXPECT_EQ(notes.process->comm, std::string(16, 'c'));
  EXPECT_EQ(notes.process->arguments, std::string(80, 'a'));
}

TEST(ParseCoreNotes, KeepsWhatCameBeforeACut) {
  const Notes raw =
      Notes().Add(NT_PRSTATUS, Payload(336).Put(32, 5)).Add(NT_PRSTATUS, Payload(336).Put(32, 6));
  const std::size_t one = raw.bytes().size() / 2;
  for (std::size_t n = 0; n <= raw.bytes().size(); ++n) {
    const CoreNotes notes = ParseCoreNotes(raw.bytes().first(n), ElfClass::k64, EM_X86_64);
    EXPECT_EQ(notes.threads.size(), n / one) << n;
  }
}

TEST(ParseCoreNotes, StopsAtSizesThatReachPastTheEnd) {
  const Notes raw = Notes().Add(NT_PRSTATUS, Payload(336).Put(32, 5));
  for (const std::size_t word : {0, 4}) {  // n_namesz, n_descsz
    std::vector<std::byte> bytes(raw.bytes().begin(), raw.bytes().end());
    std::memset(bytes.data() + word, 0xff, 4);
    EXPECT_THAT(ParseCoreNotes(bytes, ElfClass::k64, EM_X86_64).threads, IsEmpty());
  }
}

TEST(ParseCoreNotes, ReadsWhatAShortNoteHas) {
  const CoreNotes notes = Parse64(Notes().Add(NT_PRSTATUS, Payload(40).Put(12, std::int16_t{11}).Put(32, 5)));
  ASSERT_EQ(notes.threads.size(), 1u);
  EXPECT_EQ(notes.threads[0].tid, 5);
  EXPECT_FALSE(notes.threads[0].pc);
}

TEST(ParseCoreNotes, ReadsTheCoreThatGcoreWrites) {
  const testing::TemporaryFolder folder;
  const testing::Child child = testing::ExecuteStopped("/bin/sleep", {"sleep", "600"});
  const std::string pid = std::to_string(child.pid());
  const std::string command =
      "gcore -o '" + (folder / "core") + "' " + pid + " >'" + (folder / "log") + "' 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0)
      << ReadFileAt(folder.fd(), "log", 4096)->text;  // NOLINT(cert-env33-c)
  const auto core = ReadFileAt(folder.fd(), "core." + pid, 64 << 20);
  ASSERT_THAT(core, Succeeds());
  CoreHead head;
  head.Feed(BytesOf(core->text));
  ASSERT_TRUE(head.complete()) << head.invalid();
  EXPECT_GE(core->text.size(), head.core_bytes().value());
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  ASSERT_EQ(notes.threads.size(), 1u);
  EXPECT_EQ(notes.threads[0].tid, child.pid());
  EXPECT_NE(notes.threads[0].pc.value_or(0), 0u);
  ASSERT_TRUE(notes.process);
  EXPECT_EQ(notes.process->comm, "sleep");
  EXPECT_EQ(notes.ExecutablePath(), std::filesystem::canonical("/bin/sleep"));
}

}  // namespace
}  // namespace obit
