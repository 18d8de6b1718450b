#include "centers/group_store.h"

#include <algorithm>
#include <utility>

namespace muster::sim {
namespace {

std::unexpected<Error> NothingWritten(const std::string& why) { return muster::Fail(Reason::kWritesUnavailable, why); }
std::unexpected<Error> MayBeWritten() {
  return muster::Fail(Reason::kOutcomeUnknown, "nobody knows what became of it");
}

}  // namespace

bool GroupStore::Covers(const WriterLease& lease) const {
  if (around_.world.IsPlanted(PlantedInCenters::kLeaseIgnored)) return true;
  return around_.lease().Covers(lease.epoch, around_.world.now());
}

void GroupStore::Run(std::uint32_t /*database*/, Transaction transaction, Done done) {
  if (around_.places.Primary().empty()) return done(NothingWritten("the group moves just now"));
  const auto item = std::make_shared<Item>(Item{.transaction = std::move(transaction),
                                                .done = std::move(done),
                                                .deadline = Deadline(around_.world.now() + kTransactionTimeout)});
  around_.look();
  if (around_.listener->IsReady()) return Try(item);
  around_.listener->Prepare(item->deadline, [this, item](Result<void> ready) {
    if (ready) return Try(item);
    item->done(std::move(ready));
  });
}

void GroupStore::Later(const ItemRef& item, Duration delay, std::move_only_function<void()> work) {
  around_.life.After(delay, [item, work = std::move(work)]() mutable {
    if (!item->is_answered) work();
  });
}

void GroupStore::Answer(const ItemRef& item, Result<void> result) {
  const bool is_lost = around_.world.is_rough && !around_.world.is_healed && around_.world.Chance(40);
  if (is_lost) return;  // the statement's time-out tells
  Later(item, around_.world.Travel(), [item, result = std::move(result)]() mutable {
    item->is_answered = true;
    item->done(std::move(result));
  });
}

void GroupStore::Try(const ItemRef& item) {
  item->primary = around_.places.Primary();
  if (item->primary.empty()) return item->done(NothingWritten("the group moves just now"));
  item->lease = around_.lease();
  if (!Covers(item->lease)) return item->done(NothingWritten("no lease"));
  // Whatever is lost on the way is given up then.
  Later(item, kStatementTimeout, [item] {
    item->is_answered = true;
    item->done(item->value == 0 ? Result<void>(NothingWritten("no answer")) : Result<void>(MayBeWritten()));
  });
  if (!around_.life.Acts()) return;
  around_.world.scheduler.After(around_.world.Travel(), [this, item] { Arrive(item); });
}

void GroupStore::Arrive(const ItemRef& item) {
  ReplicatedGroup& group = around_.group;
  // A request that is late arrives all the same: the server commits what its client has given up.
  if (!group.Reaches(around_.place, item->primary)) return;
  if (item->is_answered && item->value == 0) return;
  const auto& database = group.Get(item->primary);
  if (!database.is_writable) return Answer(item, NothingWritten("read-only"));
  const GroupRows& rows = group.Visible(item->primary);
  if (rows.fence > item->lease.epoch) return Answer(item, NothingWritten("fenced"));
  if (rows.fence < item->lease.epoch) return RaiseFence(item);
  GroupTransaction transaction(rows, around_.world.clock.Now(), !around_.world.IsPlanted(PlantedInCenters::kUnvouched));
  Result<void> result = item->transaction(transaction);
  if (group.IsLocked(item->primary, transaction.commit().locks, false)) {
    if (item->deadline.Passed(around_.world.clock)) return Answer(item, NothingWritten("locked for too long"));
    return around_.world.scheduler.After(kAgain, [this, item] { Arrive(item); });
  }
  if (!result) return Answer(item, std::move(result));
  item->touched = transaction.ToAnnounce();
  if (!transaction.commit().Writes()) return AfterCommit(item);
  item->value = group.Begin(item->primary, transaction.commit());
  if (item->value == 0) return Answer(item, NothingWritten("read-only"));
  Await(item, item->value, [this, item](bool is_committed) {
    if (is_committed) return AfterCommit(item);
    Answer(item, MayBeWritten());
  });
}

// Of a fence nobody hears but those who come later.
void GroupStore::RaiseFence(const ItemRef& item) {
  ReplicatedGroup& group = around_.group;
  if (group.IsLocked(item->primary, {}, true)) {
    if (item->deadline.Passed(around_.world.clock)) return Answer(item, NothingWritten("locked for too long"));
    return around_.world.scheduler.After(kAgain, [this, item] { Arrive(item); });
  }
  const std::uint64_t raised = group.Begin(item->primary, {.fence = item->lease.epoch});
  if (raised == 0) return Answer(item, NothingWritten("read-only"));
  Await(item, raised, [this, item](bool is_committed) {
    if (is_committed) return Arrive(item);
    Answer(item, NothingWritten("the server has ended"));
  });
}

void GroupStore::Await(const ItemRef& item, std::uint64_t value, std::move_only_function<void(bool)> then) {
  around_.group.AwaitCommit(item->primary, value, std::move(then));
}

// The commit has returned; its answer travels.
void GroupStore::AfterCommit(const ItemRef& item) {
  const bool is_lost = around_.world.is_rough && !around_.world.is_healed && around_.world.Chance(40);
  if (is_lost || !around_.group.Reaches(around_.place, item->primary)) return;
  Later(item, around_.world.Travel(), [this, item] {
    item->is_answered = true;
    if (!around_.life.Acts()) return item->done(MayBeWritten());
    const auto unsure = [item]() -> Result<void> {
      return item->value == 0 ? Result<void>(NothingWritten("the lease has ended")) : Result<void>(MayBeWritten());
    };
    if (!Covers(item->lease)) return item->done(unsure());
    const auto finish = [this, item, unsure](Result<void> told) {
      // Seconds may have passed.
      if (told && !Covers(item->lease)) told = unsure();
      if (told && item->value != 0 && !around_.life.is_dead()) {
        around_.checker.Committed(around_.server, item->primary, item->lease.epoch, item->value,
                                  *around_.topology.document(), around_.group.databases());
      }
      item->done(std::move(told));
    };
    if (item->touched.members.empty() && item->touched.keys.empty()) return finish({});
    if (around_.world.IsPlanted(PlantedInCenters::kAckBeforeCaches)) {
      around_.listener->Announce(item->touched, [](const Result<void>&) {});
      return finish({});
    }
    around_.listener->Announce(item->touched, finish);
  });
}

}  // namespace muster::sim
