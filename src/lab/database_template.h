#pragma once

#include <string>

#include "base/result.h"
#include "lab/layout.h"
#include "lab/process_keeper.h"
#include "lab/programs.h"

namespace muster::lab {

// Making a data directory of MariaDB takes seconds, copying one a tenth of that: so one is made, with the accounts that
// muster needs and an empty database, and each server begins with a copy. What is in it is in no binlog, so all of a
// group begin with the same empty one.
//
// Waits for the program that makes it. INTERNAL names the log.
Result<void> EnsureDatabaseTemplate(const Layout& layout, const Programs& programs, ProcessKeeper& keeper);

// A copy of it, unless the server has data.
Result<void> EnsureDatabaseData(const Layout& layout, const Component& database);
bool HasDatabaseData(const Layout& layout, const Component& database);

// The accounts as SQL: muster's own, the one that commands the servers, and one for each replica, from 127.0.0.1.
// Passwords are the secrets of the directory.
Result<std::string> AccountsSql(const Layout& layout);

}  // namespace muster::lab
