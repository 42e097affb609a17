#include "crash/cause.h"

#include "base/enum_names.h"

namespace obit {
namespace {

constexpr EnumNames<CauseKind, 44> kKinds{{{CauseKind::kUnknown, "unknown"},
                                           {CauseKind::kNullRead, "null-read"},
                                           {CauseKind::kNullWrite, "null-write"},
                                           {CauseKind::kNullCall, "null-call"},
                                           {CauseKind::kUnmappedRead, "unmapped-read"},
                                           {CauseKind::kUnmappedWrite, "unmapped-write"},
                                           {CauseKind::kWildPointer, "wild-pointer"},
                                           {CauseKind::kReadProtected, "read-protected"},
                                           {CauseKind::kWriteReadOnly, "write-read-only"},
                                           {CauseKind::kExecuteNonExecutable, "execute-non-executable"},
                                           {CauseKind::kStackOverflow, "stack-overflow"},
                                           {CauseKind::kHeapCorruption, "heap-corruption"},
                                           {CauseKind::kStackSmashing, "stack-smashing"},
                                           {CauseKind::kFortify, "fortify"},
                                           {CauseKind::kAssert, "assert"},
                                           {CauseKind::kUncaughtException, "uncaught-exception"},
                                           {CauseKind::kPureVirtualCall, "pure-virtual-call"},
                                           {CauseKind::kRustPanic, "rust-panic"},
                                           {CauseKind::kAbort, "abort"},
                                           {CauseKind::kOutOfMemory, "out-of-memory"},
                                           {CauseKind::kDivideByZero, "divide-by-zero"},
                                           {CauseKind::kArithmetic, "arithmetic"},
                                           {CauseKind::kTrap, "trap"},
                                           {CauseKind::kIllegalInstruction, "illegal-instruction"},
                                           {CauseKind::kTruncatedFile, "truncated-file"},
                                           {CauseKind::kBusError, "bus-error"},
                                           {CauseKind::kBadSystemCall, "bad-system-call"},
                                           {CauseKind::kCpuLimit, "cpu-limit"},
                                           {CauseKind::kFileSizeLimit, "file-size-limit"},
                                           {CauseKind::kKilled, "killed"},
                                           {CauseKind::kDivisionOverflow, "division-overflow"},
                                           {CauseKind::kMisaligned, "misaligned"},
                                           {CauseKind::kProtectionKey, "protection-key"},
                                           {CauseKind::kGeneralProtection, "general-protection"},
                                           {CauseKind::kNoFileSpace, "no-file-space"},
                                           {CauseKind::kNoHugePage, "no-huge-page"},
                                           {CauseKind::kHardwareMemory, "hardware-memory"},
                                           {CauseKind::kPrivilegedInstruction, "privileged-instruction"},
                                           {CauseKind::kSanitizerTrap, "sanitizer-trap"},
                                           {CauseKind::kSanitizerReport, "sanitizer-report"},
                                           {CauseKind::kTerminate, "terminate"},
                                           {CauseKind::kGoPanic, "go-panic"},
                                           {CauseKind::kRuntimeFatal, "runtime-fatal"},
                                           {CauseKind::kTerminalQuit, "terminal-quit"}}};
constexpr EnumNames<MemoryAccess, 4> kAccesses{{{MemoryAccess::kUnknown, "unknown"},
                                                {MemoryAccess::kRead, "read"},
                                                {MemoryAccess::kWrite, "write"},
                                                {MemoryAccess::kExecute, "execute"}}};
constexpr EnumNames<Transfer, 3> kTransfers{
    {{Transfer::kNone, "none"}, {Transfer::kCall, "call"}, {Transfer::kReturn, "return"}}};
constexpr EnumNames<SenderKind, 8> kSenders{{{SenderKind::kProcess, "process"},
                                             {SenderKind::kItself, "itself"},
                                             {SenderKind::kThread, "thread"},
                                             {SenderKind::kTimer, "timer"},
                                             {SenderKind::kQueue, "queue"},
                                             {SenderKind::kTerminal, "terminal"},
                                             {SenderKind::kKernel, "kernel"},
                                             {SenderKind::kOutsideNamespace, "outside-namespace"}}};

}  // namespace

std::string_view NameOf(CauseKind kind) { return NameIn(kKinds, kind); }
std::optional<CauseKind> CauseNamed(std::string_view name) { return ValueIn(kKinds, name); }
std::string_view NameOf(MemoryAccess access) { return NameIn(kAccesses, access); }
std::optional<MemoryAccess> AccessNamed(std::string_view name) { return ValueIn(kAccesses, name); }
std::string_view NameOf(Transfer transfer) { return NameIn(kTransfers, transfer); }
std::optional<Transfer> TransferNamed(std::string_view name) { return ValueIn(kTransfers, name); }
std::string_view NameOf(SenderKind kind) { return NameIn(kSenders, kind); }
std::optional<SenderKind> SenderNamed(std::string_view name) { return ValueIn(kSenders, name); }

}  // namespace obit
