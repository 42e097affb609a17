#pragma once

// What the tests of the analysis share. Included by tests only.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "analyze/analyze.h"
#include "elf/core_builder.h"
#include "store/test_support.h"

namespace obit::testing {

inline constexpr std::uint64_t kCode = 0x400000, kData = 0x600000, kReadOnly = 0x700000, kNoAccess = 0x800000,
                               kStack = 0x7ffffffde000;
inline constexpr std::uint64_t kStackBytes = 0x21000, kPageBytes = 4096;

/// A small x86-64 process that died: code at kCode, memory of every kind, one thread or more.
class DeadProcess {
 public:
  DeadProcess() {
    user_.rip = kCode;
    user_.rsp = kStack + kStackBytes - 256;
    stack_.resize(kStackBytes);
    code_.resize(kPageBytes, std::byte{0x90});
  }

  /// Puts instructions at kCode + `offset`.
  DeadProcess& Code(std::initializer_list<unsigned> bytes, std::size_t offset = 0) {
    for (const unsigned byte : bytes) code_[offset++] = static_cast<std::byte>(byte);
    return *this;
  }
  DeadProcess& Signal(int number, int code, std::uint64_t address = 0) {
    signal_ = number;
    record_.signal.number = number;
    record_.signal.code = code;
    if (code > 0 && code != SI_KERNEL) record_.signal.address = address;
    return *this;
  }
  DeadProcess& SentBy(pid_t pid, uid_t uid) {
    record_.signal.sender_pid = pid;
    record_.signal.sender_uid = uid;
    return *this;
  }
  DeadProcess& Word(std::uint64_t address, std::uint64_t value) {
    std::memcpy(stack_.data() + (address - kStack), &value, sizeof value);
    return *this;
  }
  [[nodiscard]] user_regs_struct& registers() { return user_; }
  [[nodiscard]] CrashRecord& record() { return record_; }
  void AddThread(pid_t tid, const user_regs_struct& registers) { others_.emplace_back(tid, registers); }

  /// The core is a minimal one: of this mapping there is nothing in it but the note that it was there.
  void LeaveOut(std::uint64_t begin, std::uint64_t bytes, std::uint32_t flags) {
    left_out_.push_back({begin, begin + bytes, flags});
  }

  [[nodiscard]] std::vector<std::byte> Core() const {
    CoreBuilder builder(EM_X86_64);
    AddStatus(builder, 4711, user_);
    for (const auto& [tid, registers] : others_) AddStatus(builder, tid, registers);
    const Bytes page(kPageBytes);
    builder.AddSegment(kCode, PF_R | PF_X, code_, kPageBytes);
    builder.AddSegment(kData, PF_R | PF_W, page, kPageBytes);
    builder.AddSegment(kReadOnly, PF_R, page, kPageBytes);
    builder.AddSegment(kNoAccess, 0, {}, kPageBytes);
    builder.AddSegment(kStack, PF_R | PF_W, stack_, kStackBytes);
    if (!left_out_.empty()) AddMappings(builder);
    return builder.Build();
  }

  [[nodiscard]] AnalysisJob Job() {
    AnalysisJob job;
    record_.id = "0123456789abcdef";
    record_.process.pid = 4711;
    job.record = record_;
    job.core = StoredFile(Core());
    job.debug_directories.clear();
    return job;
  }

  [[nodiscard]] Report Analyze() {
    auto analysis = Analysis::Prepare(Job());
    EXPECT_THAT(analysis, Succeeds());
    return analysis ? analysis->Run() : Report();
  }

 private:
  void AddStatus(CoreBuilder& builder, pid_t tid, const user_regs_struct& registers) const {
    prstatus_t status{};
    status.pr_pid = tid;
    status.pr_cursig = static_cast<short>(signal_);
    std::memcpy(&status.pr_reg, &registers, sizeof registers);
    builder.AddNote("CORE", NT_PRSTATUS, std::as_bytes(std::span(&status, 1)));
  }

  void AddMappings(CoreBuilder& builder) const {
    std::vector<CoreNotes::Mapping> mappings{{kCode, kCode + kPageBytes, PF_R | PF_X},
                                             {kData, kData + kPageBytes, PF_R | PF_W},
                                             {kReadOnly, kReadOnly + kPageBytes, PF_R},
                                             {kNoAccess, kNoAccess + kPageBytes, 0},
                                             {kStack, kStack + kStackBytes, PF_R | PF_W}};
    mappings.insert(mappings.end(), left_out_.begin(), left_out_.end());
    std::ranges::sort(mappings, {}, &CoreNotes::Mapping::begin);
    Bytes note;
    AppendMappingsNote(note, mappings);
    Elf64_Nhdr header;
    std::memcpy(&header, note.data(), sizeof header);
    builder.AddNote("obit", header.n_type, std::span(note).subspan(sizeof header + 8));
  }

  int signal_ = SIGSEGV;
  CrashRecord record_;
  user_regs_struct user_{};
  Bytes code_, stack_;
  std::vector<std::pair<pid_t, user_regs_struct>> others_;
  std::vector<CoreNotes::Mapping> left_out_;
};

}  // namespace obit::testing
