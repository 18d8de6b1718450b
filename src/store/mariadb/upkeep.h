#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"
#include "base/result.h"
#include "store/answer_shares.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/transaction.h"

// What a group does in transactions of its own.
namespace muster::mariadb {

// Outcomes recorded before `before`, of those with the lowest ids; answers how many were forgotten. Ids follow the
// time, so these are the oldest; as long as they were recorded under a clock that ran ahead, newer ones stay.
Result<std::uint64_t> ForgetOperations(Transaction& transaction, Timestamp before);

// Answers kept before `before`, kForgetRowsMax at most; answers how many were forgotten.
Result<std::uint64_t> ForgetAnswers(Transaction& transaction, Timestamp before);
inline constexpr std::uint64_t kForgetRowsMax = 5'000;  // some tens of milliseconds, and one event of the binlog

// Counts the answers that a group keeps, by an index of them in the order of time and a page at a time, so that no
// statement takes long however many there are; `shares` is told when it has been through. Thread-safe.
class AnswerCount {
 public:
  static constexpr std::int64_t kPageDefault = 100'000;  // some tenths of a second, when nothing of it is in memory

  explicit AnswerCount(AnswerShares& shares, std::int64_t page = kPageDefault) : shares_(shares), page_(page) {}

  // Goes on until it has been through, or has taken `budget`; the next call goes on there, or begins anew.
  Result<void> GoOn(Connection& connection, const Clock& clock, Duration budget);

 private:
  AnswerShares& shares_;
  const std::int64_t page_;
  std::mutex mutex_;
  std::int64_t counted_to_ = -1;  // guarded by mutex_: the time of the newest answer that has been counted
  AnswerShares::Counts seen_;     // guarded by mutex_
};

// Of the first group: gives the next `lines` numbers to an import; answers the first. LIMIT_EXCEEDED.
Result<std::int64_t> ReserveRange(Transaction& transaction, std::uint64_t lines, std::uint16_t first_sequence);

}  // namespace muster::mariadb
