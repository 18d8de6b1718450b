#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::mariadb {

// What a failure of the engine means for whoever met it.
enum class Fault : std::uint8_t {
  kNone,
  kDuplicate,    // a row that was absent is there now: the transaction runs again
  kConflict,     // deadlock, or a lock that was not given in time: the same
  kLost,         // the connection is gone, or did not answer in time
  kReadOnly,     // the server takes no writes
  kRefused,      // wrong credentials, or an account that lacks a privilege
  kBusy,         // the server takes no more connections
  kFull,         // no space left
  kNoSuchTable,  // the database or a table is not there
  kNoSource,     // the files in which the server keeps what it follows cannot be read
  kOther,
};

// Of an error number of the server or of libmariadb.
Fault FaultOf(unsigned code);

// The same as an error: WRITES_UNAVAILABLE (OVERLOADED where `reads`) for what passes by itself or is for the operator
// to end, INTERNAL for the rest. `where` names the server and the database. Says what to do; holds no text of the
// server, which quotes values of rows.
Error DescribeFault(Fault fault, const std::string& where, unsigned code, bool reads);

}  // namespace muster::mariadb
