#include "store/mariadb/placement.h"

#include <utility>

#include "base/check.h"

namespace muster::mariadb {
namespace {

// When whoever is refused may ask again: a switchover takes a quarter of a second, a failover two.
constexpr std::int64_t kMovesRetryMs = 500;

std::shared_ptr<const GroupPlacement> Nowhere(const std::string& name) {
  auto nowhere = std::make_shared<GroupPlacement>();
  nowhere->name = name;
  return nowhere;
}

Reason ReasonFor(Use use) { return use == Use::kRead ? Reason::kOverloaded : Reason::kWritesUnavailable; }

}  // namespace

std::unexpected<Error> GroupIsNew(std::uint32_t group, Use use) {
  return Fail(ReasonFor(use), "shards have moved to group number " + std::to_string(group) +
                                  " of the topology, which this server does not know: it began before the group was "
                                  "added. Start it again");
}

GroupPlace::GroupPlace(PlacementSource source, std::size_t index) : source_(std::move(source)), index_(index) {
  MUSTER_CHECK(source_ != nullptr);
  const auto groups = source_();
  MUSTER_CHECK(groups != nullptr && index < groups->size());
  fixed_ = Nowhere((*groups)[index].name);
}

GroupPlace GroupPlace::Fixed(Endpoint primary) {
  GroupPlace place;
  auto placement = std::make_shared<GroupPlacement>();
  placement->name = primary.Name();
  placement->primary = std::move(primary);
  place.fixed_ = std::move(placement);
  return place;
}

std::shared_ptr<const GroupPlacement> GroupPlace::Now() const {
  if (!source_) return fixed_ ? fixed_ : Nowhere("");
  const auto groups = source_();
  // Another group's rows are not this one's.
  if (!groups || index_ >= groups->size() || (*groups)[index_].name != fixed_->name) return fixed_;
  return {groups, &(*groups)[index_]};
}

Result<Endpoint> GroupPlace::Primary(Use use) const {
  const auto now = Now();
  if (now->primary) return *now->primary;
  Error error{ReasonFor(use),
              "group " + now->name +
                  " has no primary just now: it moves to another server; try again in a moment, and if that lasts see "
                  "`muster topology show`"};
  error.retry_after_ms = kMovesRetryMs;
  return std::unexpected(std::move(error));
}

bool GroupPlace::IsPrimary(const Endpoint& endpoint) const {
  const auto now = Now();
  return now->primary && *now->primary == endpoint;
}

}  // namespace muster::mariadb
