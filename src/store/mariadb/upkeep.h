#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/transaction.h"

// What a group does in transactions of its own.
namespace muster::mariadb {

// Outcomes recorded before `before`, of those with the lowest ids; answers how many were forgotten. Ids follow the
// time, so these are the oldest; as long as they were recorded under a clock that ran ahead, newer ones stay.
Result<std::uint64_t> ForgetOperations(Transaction& transaction, Timestamp before);

// Answers kept before `before`; once there are no more, `answers` is what is left.
Result<std::uint64_t> ForgetAnswers(Transaction& transaction, Timestamp before, AnswerShares& answers);

// Of all that is kept now. Reads an index of it.
Result<AnswerShares::Counts> CountAnswers(Connection& connection);

// Of the first group: gives the next `lines` numbers to an import; answers the first. LIMIT_EXCEEDED.
Result<std::int64_t> ReserveRange(Transaction& transaction, std::uint64_t lines, std::uint16_t first_sequence);

}  // namespace muster::mariadb
