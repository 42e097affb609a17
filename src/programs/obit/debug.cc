#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "crash/exe_file.h"
#include "elf/build_id.h"
#include "elf/printable_core.h"
#include "elf/program_lists.h"
#include "new_file.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// A file as the debugger opens it. With a descriptor it has no name, so that nothing is left behind however
/// the debugger ends: it is reached through /proc by the pid of obit, which is that of the debugger after
/// execve(2).
struct DebugFile {
  std::string path;
  Fd fd;
};

/// Neither the debugger, which prints it, nor a command that it becomes a part of is given anything that they
/// could take for more than a path: the crashed process may have chosen it.
bool IsPlainPath(const std::string& path) {
  constexpr std::string_view kQuotes = "\"'`\\";
  return path.starts_with('/') && EscapeControls(path) == path &&
         path.find_first_of(kQuotes) == std::string::npos;
}

/// Unpacks a stored file to where there is room for large ones.
Result<DebugFile> Unpack(const ChosenCrash& crash, const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  Fd fd = OBIT_TRY(MakeUnnamedFile(folder != nullptr && *folder != '\0' ? folder : "/var/tmp"));
  if (const auto missing = OBIT_TRY(UnpackStoredFile(crash.store, crash.location, name, fd)))
    Log(Severity::kWarning, "{}", missing->what);
  if (::fcntl(fd.get(), F_SETFD, 0) < 0) return Fail(errno, "pass {} on", name);  // the debugger inherits it
  return DebugFile{fmt::format("/proc/{}/fd/{}", ::getpid(), fd.get()), std::move(fd)};
}

/// The program that crashed: the kept copy, else the file of that name, if it is one. Nothing if there is
/// none.
Result<std::optional<DebugFile>> FindProgram(const ChosenCrash& crash) {
  if (!crash.record.files.exe.empty()) return OBIT_TRY(Unpack(crash, crash.record.files.exe));
  const std::string& path = crash.record.process.exe;
  struct stat status{};
  if (!IsPlainPath(path) || ::stat(path.c_str(), &status) < 0 || !S_ISREG(status.st_mode))
    return std::nullopt;
  return DebugFile{path, Fd()};
}

/// What the debugger would print as it is becomes printable, in its copy of the core. A program of another
/// class is not the one that crashed: with its file, the debugger would read another core than what is looked
/// at here.
Result<void> MakePrintable(const DebugFile& core, std::optional<DebugFile>& program) {
  Fd opened;
  const Fd* file = nullptr;
  if (program && program->fd) {
    file = &program->fd;
  } else if (program) {
    if (auto now = Open(program->path, O_RDONLY | O_NONBLOCK)) {
      opened = std::move(*now);
      file = &opened;
    }
  }
  const auto of_core = OBIT_TRY(ReadElfClass(core.fd));
  const auto of_program = file != nullptr ? OBIT_TRY(ReadElfClass(*file)) : std::nullopt;
  if (of_core && of_program && *of_core != *of_program) {
    Log(Severity::kWarning, "{} is {}-bit, the core is not: only the core is opened", program->path,
        *of_program == ElfClass::k64 ? 64 : 32);
    program.reset();
    file = nullptr;
  }
  return MakeCorePrintable(core.fd, file);
}

bool IsOfThisBoot(const CrashRecord& record) {
  const auto boot = ReadFile("/proc/sys/kernel/random/boot_id", 64);
  return boot && Trim(boot->text) == record.host.boot_id;
}

/// True if the file that has the program's name now is known to be another one than the one that crashed.
bool IsAnotherFile(const CrashRecord& record, const Fd& file) {
  const CrashRecord::Process& process = record.process;
  if (!process.exe_build_id.empty()) return ReadBuildId(file).value_or("") != process.exe_build_id;
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return false;
  const auto now = ExeFileOf(status);
  if (!process.exe_file) return process.exe_deleted || now.modified > record.time;
  if (now.bytes != process.exe_file->bytes || now.modified != process.exe_file->modified) return true;
  return IsOfThisBoot(record) && now.inode != process.exe_file->inode;  // elsewhere a copy has another number
}

void WarnOfAnotherFile(const CrashRecord& record, const DebugFile& program) {
  if (program.fd) return;  // the kept one
  const auto file = Open(program.path, O_RDONLY | O_NONBLOCK);
  if (!file || !IsAnotherFile(record, *file)) return;
  Log(Severity::kWarning, "{} is another {} than the one that crashed: names and lines will be wrong",
      program.path, record.process.exe_build_id.empty() ? "file" : "build");
}

/// The folder that paths of the process begin in, if it is another one than here.
std::optional<std::string> SystemRoot(const CrashRecord::Process& process) {
  struct stat status{};
  if (!IsPlainPath(process.root) || process.root == "/") return std::nullopt;
  if (::stat(process.root.c_str(), &status) < 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return process.root;
}

std::vector<std::string> GdbCommand(const std::string& core, const std::optional<DebugFile>& program,
                                    const std::optional<std::string>& root) {
  std::vector<std::string> command{"gdb"};
  if (root) command.insert(command.end(), {"-iex", "set sysroot " + *root});
  if (program) command.push_back(program->path);
  command.push_back("--core=" + core);
  return command;
}

std::vector<std::string> LldbCommand(const std::string& core, const std::optional<DebugFile>& program,
                                     const std::optional<std::string>& root) {
  std::vector<std::string> command{"lldb"};
  if (root)
    command.insert(command.end(), {"-O", fmt::format("platform select --sysroot \"{}\" host", *root)});
  if (program) command.insert(command.end(), {"--file", program->path});
  command.insert(command.end(), {"--core", core});
  return command;
}

/// Becomes `command`; returns only if that fails. Tries the names that distributions give to it as well:
/// "lldb-19".
Error Execute(std::vector<std::string> command) {
  const std::string name = command.front();
  constexpr int kNewest = 29, kOldest = 11;  // lldb's major versions
  std::vector<std::string> names{name};
  if (name == "lldb")
    for (int version = kNewest; version >= kOldest; --version)
      names.push_back(fmt::format("{}-{}", name, version));
  for (const std::string& candidate : names) {
    command.front() = candidate;
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    ::signal(SIGXFSZ, SIG_DFL);  // what is debugged inherits it
    ::execvp(candidate.c_str(), arguments.data());
    if (errno != ENOENT) return Fail(errno, "start {}", candidate).error();
  }
  return Refuse(ENOENT, "{} is not installed, or not in PATH", name).error();
}

Result<std::vector<std::string>> Prepare(const ChosenCrash& crash, const DebugOptions& options,
                                         DebugFile& core, std::optional<DebugFile>& program) {
  OBIT_TRY(CheckHasCore(crash));
  core = OBIT_TRY(Unpack(crash, kCoreFile));
  program = OBIT_TRY(FindProgram(crash));
  const CrashRecord::Process& process = crash.record.process;
  if (program) {
    WarnOfAnotherFile(crash.record, *program);
  } else if (process.exe.empty()) {
    Log(Severity::kWarning, "which program crashed is not known: only the core is opened");
  } else {
    Log(Severity::kWarning, "{} is not here: only the core is opened", process.exe);
  }
  OBIT_TRY_IN(MakePrintable(core, program), "crash {}", crash.location.id);
  const auto root = SystemRoot(process);
  auto command = options.debugger == Debugger::kGdb ? GdbCommand(core.path, program, root)
                                                    : LldbCommand(core.path, program, root);
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  return command;
}

}  // namespace

ExitCode Debug(const std::string& store_path, const DebugOptions& options) {
  const std::string verb = options.debugger == Debugger::kGdb ? "gdb" : "lldb";
  const auto crash = ChooseCrash(store_path, options.selector, "opening", verb);
  if (!crash) return crash.error();
  DebugFile core;
  std::optional<DebugFile> program;
  const auto command = Prepare(*crash, options, core, program);
  if (!command) return Failed(command.error());
  return Failed(Execute(*command));
}

}  // namespace obit
