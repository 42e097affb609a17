#include "options.h"

#include <climits>
#include <optional>
#include <set>

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "base/text.h"

namespace obit {
namespace {

constexpr int kFirstInherited = 3;

/// Takes an inherited descriptor over.
Result<Fd> TakeDescriptor(std::string_view text) {
  const auto number = ParseUnsigned(text);
  if (!number || *number < kFirstInherited || *number > INT_MAX ||
      ::fcntl(static_cast<int>(*number), F_SETFD, FD_CLOEXEC) < 0)
    return Refuse(EINVAL, "{} is no inherited descriptor", text);
  return Fd(static_cast<int>(*number));
}

/// Closes what nobody meant to pass on.
void CloseOthers(const AnalyzeOptions& options) {
  const std::set<int> kept{options.core.get(), options.record.get(), options.exe.get(), options.report.get(),
                           options.mapped.get()};
  auto next = static_cast<unsigned>(kFirstInherited);
  for (const int fd : kept) {
    if (fd < kFirstInherited) continue;
    if (static_cast<unsigned>(fd) > next) ::close_range(next, static_cast<unsigned>(fd) - 1, 0);
    next = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(next, ~0U, 0);
}

}  // namespace

Result<AnalyzeOptions> TakeOptions(int argc, char** argv) {
  constexpr option kOptions[] = {{"core", required_argument, nullptr, 'c'},
                                 {"record", required_argument, nullptr, 'r'},
                                 {"exe", required_argument, nullptr, 'e'},
                                 {"report", required_argument, nullptr, 'o'},
                                 {"mapped", required_argument, nullptr, 'm'},
                                 {"debug-directory", required_argument, nullptr, 'd'},
                                 {"debuginfod-cache", required_argument, nullptr, 'f'},
                                 {"environment", required_argument, nullptr, 'v'},
                                 {}};
  AnalyzeOptions options;
  ::opterr = 0;
  for (int found = 0; (found = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'c':
        options.core = OBIT_TRY_IN(TakeDescriptor(::optarg), "--core");
        break;
      case 'r':
        options.record = OBIT_TRY_IN(TakeDescriptor(::optarg), "--record");
        break;
      case 'e':
        options.exe = OBIT_TRY_IN(TakeDescriptor(::optarg), "--exe");
        break;
      case 'o':
        options.report = OBIT_TRY_IN(TakeDescriptor(::optarg), "--report");
        break;
      case 'm':
        options.mapped = OBIT_TRY_IN(TakeDescriptor(::optarg), "--mapped");
        break;
      case 'd':
        options.debug_directories.emplace_back(::optarg);
        break;
      case 'f':
        options.debuginfod_cache = ::optarg;
        break;
      case 'v': {
        const auto kept = EnvironmentKeptNamed(::optarg);
        if (!kept) return Refuse(EINVAL, "--environment: none, allow-list or all");
        options.environment = *kept;
        break;
      }
      default:
        return Refuse(EINVAL, "wrong usage: obitd and obit analyze start this program");
    }
  }
  if (::optind != argc || !options.core || !options.record || !options.report)
    return Refuse(EINVAL, "wrong usage: obitd and obit analyze start this program");
  CloseOthers(options);
  return options;
}

}  // namespace obit
