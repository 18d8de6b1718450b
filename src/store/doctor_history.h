#pragma once

#include <cstdint>
#include <optional>

#include "store/doctor_report.h"
#include "store/member_codec.h"
#include "store/sqlite_database.h"

namespace muster {

// What the history says of one member.
struct HistorySummary {
  MemberId id;
  std::int64_t count = 0, first = 0, last = 0;
  bool has_beginning = false;  // the first row says that it was registered or imported; true when it cannot be read
};

// Walks the history of one file once, member by member, and reports each row that cannot be read. Must not outlive what
// it is made of.
class HistoryWalk {
 public:
  static Result<HistoryWalk> Begin(Database& database, MemberCodec& codec, DoctorReport& report);

  // The next member in the order of ids; empty at the end.
  Result<std::optional<HistorySummary>> Next();

 private:
  HistoryWalk(Statement scan, MemberCodec& codec, DoctorReport& report)
      : scan_(std::move(scan)), codec_(codec), report_(report) {}
  Result<void> Advance();
  std::optional<ChangeType> ReadRow();

  Statement scan_;
  MemberCodec& codec_;
  DoctorReport& report_;
  bool has_row_ = false;
};

}  // namespace muster
