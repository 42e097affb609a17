#include "crash/script.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace obit {
namespace {

/// How a command line is read. Words of the lists are apart by spaces, and begin and end with one.
struct Interpreter {
  std::string_view program;     ///< begins its file name: "python3.11"
  std::string_view takes_next;  ///< options whose value is the next argument
  std::string_view names_it;    ///< the next argument is what is executed
  std::string_view has_code;    ///< the next argument is code
};
constexpr Interpreter kInterpreters[] = {
    {"python", " -W -X --check-hash-based-pycs ", " -m ", " -c "},
    {"perl", " -I ", " ", " -e -E "},
    {"ruby", " -I -r -C ", " ", " -e "},
    {"php", " -d -c -z ", " -f ", " -r "},
    {"lua", " -l ", " ", " -e "},
    {"node", " -r --require --import -C ", " ", " -e -p --eval --print "},
    {"java", " -cp -classpath --class-path -p --module-path --add-modules --add-opens --add-exports ",
     " -jar -m --module ", " "}};

bool Has(std::string_view list, std::string_view word) {
  return list.contains(std::string(" ").append(word).append(" "));
}

}  // namespace

std::string ScriptOf(const CrashRecord::Process& process) {
  const std::string_view program = FileNameOf(process.exe);
  const auto interpreter = std::ranges::find_if(
      kInterpreters, [&](const Interpreter& one) { return program.starts_with(one.program); });
  if (interpreter == std::end(kInterpreters)) return {};
  const auto& line = process.cmdline;
  for (std::size_t i = 1; i < line.size(); ++i) {
    const std::string& word = line[i];
    if (Has(interpreter->has_code, word)) return {};
    if (Has(interpreter->takes_next, word)) {
      ++i;
      continue;
    }
    const bool next = Has(interpreter->names_it, word);
    if (!next && word.starts_with('-') && word != "-") continue;
    const std::size_t at = next ? i + 1 : i;
    // The last argument of a line that was cut may be cut, too.
    if (at >= line.size() || (process.cmdline_truncated && at + 1 == line.size())) return {};
    return std::string(FileNameOf(line[at]));
  }
  return {};
}

}  // namespace obit
