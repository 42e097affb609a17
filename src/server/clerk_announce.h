#pragma once

#include <string>

#include "crash/record.h"
#include "crash/report.h"
#include "store/access.h"
#include "store/store.h"

namespace obit {

/// Tells of a crash that was committed: to the journal, if `journal`, and to the log where the journal does
/// not show it.
void AnnounceCrash(const Store& store, const CrashLocation& crash, const CrashRecord& record, bool journal);
/// The same of its report. What was found may quote the memory of the process: of a crash that has no owner
/// it is for the store only.
void AnnounceReport(const Store& store, const CrashLocation& crash, CrashOwner owner, const Report& report,
                    bool journal);

}  // namespace obit
