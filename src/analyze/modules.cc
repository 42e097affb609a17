#include "analyze/modules.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/io.h"

namespace obit {
namespace {

int FindNoElf(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) { return -1; }

/// libdwfl asks for a file; the one that was opened before the jail closed is all there is.
int FindOpenedDebugFile(Dwfl_Module*, void** user, const char*, Dwarf_Addr, const char*, const char*,
                        GElf_Word, char** name) {
  const auto* files = static_cast<const ModuleFiles*>(*user);
  if (files == nullptr || !files->debug) return -1;
  auto copy = Duplicate(files->debug);
  if (!copy) return -1;
  *name = ::strdup(files->module.path.c_str());
  return copy->Release();
}

constexpr Dwfl_Callbacks kCallbacks{.find_elf = FindNoElf,
                                    .find_debuginfo = FindOpenedDebugFile,
                                    .section_address = nullptr,
                                    .debuginfo_path = nullptr};

}  // namespace

Modules::Modules(std::vector<ModuleFiles>& files, CoreImage& image)
    : files_(files),
      dwfl_(::dwfl_begin(&kCallbacks)),
      handles_(files.size()),
      debug_asked_(files.size()),
      go_(files.size()) {
  if (dwfl_) ::dwfl_report_begin(dwfl_.get());
  for (std::uint32_t i = 0; i < files_.size(); ++i) {
    if (!files_[i].file) continue;
    for (const ModuleFiles::Range& range : files_[i].ranges)
      image.AddFile(range.begin, range.end, range.offset, files_[i].file);
    if (dwfl_) Report(i);
  }
  if (dwfl_) ::dwfl_report_end(dwfl_.get(), nullptr, nullptr);
}

void Modules::Report(std::uint32_t index) {
  ModuleFiles& files = files_[index];
  auto copy = Duplicate(files.file);
  if (!copy) return;
  // The name must be unique: libdwfl takes a second module of one name at one address for the first.
  const std::string name = fmt::format("{}", index);
  Dwfl_Module* module = ::dwfl_report_elf(dwfl_.get(), name.c_str(), files.module.path.c_str(), copy->get(),
                                          files.base, /*add_p_vaddr=*/false);
  if (module == nullptr) {
    files.module.problem = fmt::format("unreadable: {}", ::dwfl_errmsg(-1));
    return;
  }
  (void)copy->Release();
  void** user = nullptr;
  ::dwfl_module_info(module, &user, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  if (user != nullptr) *user = &files;
  handles_[index] = module;
}

std::optional<std::uint32_t> Modules::Find(std::uint64_t address) const {
  auto after =
      std::ranges::upper_bound(files_, address, {}, [](const ModuleFiles& one) { return one.module.begin; });
  if (after == files_.begin() || address >= (--after)->module.end) return std::nullopt;
  return static_cast<std::uint32_t>(after - files_.begin());
}

Dwarf* Modules::Debug(std::uint32_t index, Dwarf_Addr& bias) {
  if (handles_[index] == nullptr) return nullptr;
  Dwarf* debug = ::dwfl_module_getdwarf(handles_[index], &bias);
  if (debug == nullptr || debug_asked_[index]) return debug;
  debug_asked_[index] = true;
  files_[index].module.lines = true;
  if (!files_[index].alternate) return debug;
  std::unique_ptr<Dwarf, Closer> alternate(::dwarf_begin(files_[index].alternate.get(), DWARF_C_READ));
  if (!alternate) return debug;
  ::dwarf_setalt(debug, alternate.get());
  alternates_.push_back(std::move(alternate));
  return debug;
}

std::uint64_t Modules::OffsetOf(std::uint32_t index, std::uint64_t address) const {
  GElf_Addr bias = files_[index].base;
  if (handles_[index] != nullptr) ::dwfl_module_getelf(handles_[index], &bias);
  return address - bias;
}

bool Modules::IsGo(std::uint32_t index) {
  constexpr std::size_t kSectionsMax = 4096;
  std::optional<bool>& known = go_[index];
  if (known) return *known;
  known = false;
  GElf_Addr bias = 0;
  Elf* elf = handles_[index] == nullptr ? nullptr : ::dwfl_module_getelf(handles_[index], &bias);
  std::size_t names = 0;
  if (elf == nullptr || ::elf_getshdrstrndx(elf, &names) != 0) return false;
  Elf_Scn* section = nullptr;
  for (std::size_t i = 0; i < kSectionsMax && (section = ::elf_nextscn(elf, section)) != nullptr; ++i) {
    GElf_Shdr header;
    if (::gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = ::elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && std::strcmp(name, ".note.go.buildid") == 0) known = true;
  }
  return *known;
}

std::optional<Modules::Symbol> Modules::FindSymbol(std::uint32_t index, std::string_view name) {
  if (handles_[index] == nullptr) return std::nullopt;
  const auto [known, is_new] = symbols_.try_emplace({index, std::string(name)});
  if (!is_new) return known->second;
  const int count = ::dwfl_module_getsymtab(handles_[index]);
  for (int i = 1; i < count; ++i) {
    GElf_Sym symbol;
    GElf_Addr address = 0;
    const char* found =
        ::dwfl_module_getsym_info(handles_[index], i, &symbol, &address, nullptr, nullptr, nullptr);
    if (found != nullptr && symbol.st_shndx != SHN_UNDEF && name == found)
      return known->second = Symbol{address, symbol.st_size};
  }
  return std::nullopt;
}

}  // namespace obit
