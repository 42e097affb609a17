#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <elfutils/libdwfl.h>

#include "analyze/core_image.h"
#include "analyze/module_files.h"
#include "base/result.h"

namespace obit {

/// The modules of a core as libdwfl knows them. From here on their bytes go through libdw: only in the jail.
class Modules {
 public:
  /// `files` outlives this object; what is learnt of a module goes into its `module`. Also tells `image` what
  /// the files hold.
  Modules(std::vector<ModuleFiles>& files, CoreImage& image);

  /// Index of the module that `address` lies in, by its mappings.
  [[nodiscard]] std::optional<std::uint32_t> Find(std::uint64_t address) const;
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(files_.size()); }
  [[nodiscard]] const ModuleFiles& files(std::uint32_t index) const { return files_[index]; }

  /// libdwfl's handle; null if there is no file, or libdwfl cannot read it.
  [[nodiscard]] Dwfl_Module* handle(std::uint32_t index) const { return handles_[index]; }
  /// Debug information, with what several files share; null if there is none.
  [[nodiscard]] Dwarf* Debug(std::uint32_t index, Dwarf_Addr& bias);
  /// `address` as in the module's own file.
  [[nodiscard]] std::uint64_t OffsetOf(std::uint32_t index, std::uint64_t address) const;
  /// It was made by Go's own linker.
  [[nodiscard]] bool IsGo(std::uint32_t index);
  struct Symbol {
    std::uint64_t address = 0, bytes = 0;
  };
  /// What the module defines with this name.
  [[nodiscard]] std::optional<Symbol> FindSymbol(std::uint32_t index, std::string_view name);

 private:
  void Report(std::uint32_t index);

  struct Closer {
    void operator()(Dwfl* dwfl) const { ::dwfl_end(dwfl); }
    void operator()(Dwarf* dwarf) const { ::dwarf_end(dwarf); }
  };
  std::vector<ModuleFiles>& files_;
  std::vector<std::unique_ptr<Dwarf, Closer>> alternates_;  // outlive dwfl_
  std::unique_ptr<Dwfl, Closer> dwfl_;
  std::vector<Dwfl_Module*> handles_;
  std::vector<bool> debug_asked_;
  std::vector<std::optional<bool>> go_;
  /// What was asked for: each time all symbols of a module are looked at.
  std::map<std::pair<std::uint32_t, std::string>, std::optional<Symbol>> symbols_;
};

}  // namespace obit
