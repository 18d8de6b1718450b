#include "domain/ports/member_reader.h"

#include "base/check.h"

namespace muster {

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kNear:
      return "near";
    case Source::kRedis:
      return "redis";
    case Source::kReplica:
      return "replica";
    case Source::kPrimary:
      return "primary";
  }
  MUSTER_UNREACHABLE("a Source without a name");
}

}  // namespace muster
