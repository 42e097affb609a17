#pragma once

#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// Gives a report whose fingerprint is of an older version the fingerprint and the own frame of this version,
/// from the stacks that it holds: so the history falls into the groups of today. A report of schema 1 does
/// not tell what had come to a handler that gave up: it is taken for a fault. False: the report is of this
/// version, or of a later one, and stays as it is.
bool Regroup(Report& report, const CrashRecord& record);

}  // namespace obit
