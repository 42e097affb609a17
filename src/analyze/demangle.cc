#include "analyze/demangle.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#define HAVE_DECL_BASENAME 1  // else it declares one of its own, that <cstring> disagrees with
#include <libiberty/demangle.h>

namespace obit {
namespace {

constexpr std::size_t kSymbolMax = 4096, kNameMax = 16 * 1024;

}  // namespace

std::string Demangle(const std::string& symbol) {
  if (symbol.size() > kSymbolMax || (!symbol.starts_with("_Z") && !symbol.starts_with("_R"))) return symbol;
  const std::unique_ptr<char, void (*)(void*)> name(
      ::cplus_demangle(symbol.c_str(), DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO), std::free);
  if (!name) return symbol;
  return std::string(name.get(), ::strnlen(name.get(), kNameMax));
}

}  // namespace obit
