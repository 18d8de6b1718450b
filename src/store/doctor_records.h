#pragma once

#include <string>

#include "store/doctor_report.h"
#include "store/member_codec.h"
#include "store/settled_member.h"
#include "store/sqlite_database.h"

namespace muster {

// What the doctor says of a file's table `record`: whether the answers that are kept can be read, the merges, and the
// marks of moves, whose members doctor_moves.h looks at; and whether each merge is of two members that are merged so.
// `rows` are all of one moment. A merged member without a record is no finding: it may have been imported as it is.
Result<void> CheckRecords(Database& database, const std::string& path, MemberSource& rows, MemberCodec& codec,
                          DoctorReport& report);

}  // namespace muster
