#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/search_fields.h"

namespace muster {

// A member's document as the index keeps it, without what are columns of their own: id, version, times and day.

// Replaces `record`.
void EncodeDocument(const SearchDocument& document, std::string& record);
// Fills `document`, whose columns are set. INTERNAL: not a record.
Result<void> DecodeDocument(std::string_view record, SearchDocument& document);

}  // namespace muster
