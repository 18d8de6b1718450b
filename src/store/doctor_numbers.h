#pragma once

#include <string>

#include "store/doctor_report.h"
#include "store/sqlite_database.h"

namespace muster {

// Examines what keeps numbers from being given out twice, and what decides about operations under way: the outcomes and
// the numbers of changes in one file, and the ranges of imports. `path` is the file's, for the report.
Result<void> CheckNumbers(Database& database, const std::string& path, DoctorReport& report);

}  // namespace muster
