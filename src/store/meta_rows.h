#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"

namespace muster {

// What a database keeps beside its tables' rows of the keyring and the identity kinds it was written with: names and
// values of its table meta. `where` begins every error: the file, or the group.
using MetaRows = std::vector<std::pair<std::string, std::string>>;

// Rows "keyring…": hashes that tell keys apart and tell nothing of them.
MetaRows KeyringRows(const Keyring& keyring);
// Refuses (INTERNAL) a keyring whose hash key is not the one the identities were hashed with, or that lacks a sealing
// key that the database has been opened with before.
Result<void> CheckKeyringRows(const std::string& where, const MetaRows& stored, const Keyring& keyring);

// Rows "kind.…".
MetaRows CatalogRows(const IdentityCatalog& catalog);
// Refuses (INTERNAL) a kind whose scope or normaliser is not what it was, and the lack of a kind that there was.
Result<void> CheckCatalogRows(const std::string& where, const MetaRows& stored, const IdentityCatalog& catalog);

}  // namespace muster
