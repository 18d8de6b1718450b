#include "store/mariadb/primary_link.h"

namespace muster::mariadb {

Result<bool> PrimaryLink::Connect() {
  if (connection_ && !settings_.place.IsPrimary(connection_->endpoint())) connection_.reset();
  if (connection_) return false;
  MUSTER_ASSIGN(connection_, OpenPrimary(settings_, use_));
  return true;
}

}  // namespace muster::mariadb
