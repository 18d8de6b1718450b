#include "store/holder_search.h"

#include <utility>

namespace muster {

Result<MemberDocumentRef> FindHolder(const IdentityKey& key, HolderSource& source) {
  MUSTER_ASSIGN(std::optional<LookupRow> row, source.ReadLookup(key));
  // In the first attempt the owner's snapshot may be older than the lookup row's.
  bool owner_is_newer = false;
  for (int attempt = 0; attempt < kHolderAttemptsMax; ++attempt) {
    if (!row) return MemberDocumentRef();
    MUSTER_ASSIGN(HolderSource::Owner owner, source.ReadOwner(row->member_id));
    if (owner.document && owner.document->Holds(key)) return owner.document;
    if (owner.heir) {
      MUSTER_ASSIGN(HolderSource::Owner heir, source.ReadOwner(*owner.heir));
      if (heir.document && heir.document->Holds(key)) return heir.document;
    } else if (source.SharesSnapshot(key, row->member_id)) {
      return MemberDocumentRef();
    }
    source.BeginAnew();
    MUSTER_ASSIGN(const std::optional<LookupRow> again, source.ReadLookup(key));
    if (owner_is_newer && again == row) return MemberDocumentRef();
    row = again;
    owner_is_newer = true;
  }
  Error error{Reason::kOverloaded, "the identity changed hands again and again while it was looked up; try again"};
  error.retry_after_ms = 100;
  return std::unexpected(std::move(error));
}

}  // namespace muster
