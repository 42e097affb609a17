#pragma once

#include <string>
#include <vector>

#include "analyze/module_files.h"

namespace obit {

/// Fills in which package each module that was found came from: what the file says itself (.note.package),
/// else the dpkg database of this host, as far as the file is one of this host's.
void FindPackages(std::vector<ModuleFiles>& modules);

}  // namespace obit
