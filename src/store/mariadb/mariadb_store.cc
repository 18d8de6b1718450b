#include "store/mariadb/mariadb_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "store/mariadb/archive.h"
#include "store/mariadb/change_feed.h"
#include "store/mariadb/group.h"
#include "store/mariadb/node.h"
#include "store/mariadb/opening.h"
#include "store/mariadb/reader.h"
#include "store/mariadb/relay.h"
#include "store/mariadb/shard_mover.h"
#include "store/mariadb/stream.h"
#include "store/mariadb/upkeep.h"

namespace muster {
namespace {

using mariadb::Archive;
using mariadb::Group;
using mariadb::ReaderPool;
using mariadb::SessionSettings;
using mariadb::Transaction;

// For how long answers are counted on whenever old ones have been forgotten.
constexpr Duration kCountOnFor = std::chrono::seconds(1);

// What a store is made of. In the order of their dependencies.
struct Parts {
  ShardMapSource shards;
  std::unique_ptr<mariadb::Node> node;
  std::unique_ptr<Archive> archive;
  std::unique_ptr<ChangeWakes> wakes;
  std::unique_ptr<mariadb::StreamFeed> feed;
  std::unique_ptr<mariadb::ChangeRelay> relay;
  std::unique_ptr<mariadb::ShardMover> mover = {};  // none: nobody here moves shards
  std::vector<std::unique_ptr<Group>> groups = {};
  std::unique_ptr<ReaderPool> readers = {};
  std::size_t reads_per_turn = 1;
};

class MariadbStoreImpl final : public MariadbStore,
                               public ShardStore,
                               public ShardUpkeep,
                               public ImportRanges,
                               public ChangeKeeper {
 public:
  MariadbStoreImpl(const MariadbDependencies& dependencies, Parts parts, std::int64_t newest_number)
      : dependencies_(dependencies),
        reader_metrics_(*dependencies.metrics),
        parts_(std::move(parts)),
        newest_number_(newest_number) {}
  ~MariadbStoreImpl() override { Close(); }

  // May be called again when it failed.
  Result<void> Start() {
    for (const auto& group : parts_.groups) MUSTER_TRY(group->Start());
    MUSTER_TRY(parts_.relay->Start());
    if (parts_.mover) parts_.mover->Start();
    return {};
  }

  ShardStore& shards() override { return *this; }
  ShardUpkeep& shard_upkeep() override { return *this; }
  MemberArchive& archive() override { return *parts_.archive; }
  ImportRanges& import_ranges() override { return *this; }
  ChangeFeed& change_feed() override { return *parts_.feed; }
  ChangeKeeper& change_keeper() override { return *this; }
  std::int64_t newest_number() const override { return newest_number_; }
  std::uint8_t node() const override { return parts_.node ? parts_.node->number() : std::uint8_t{0}; }

  Result<std::unique_ptr<MemberReader>> MakeReader(EventLoop& loop) override {
    return MakePooledReader(*parts_.readers, {.loop = loop,
                                              .clock = *dependencies_.clock,
                                              .floor = *dependencies_.floor,
                                              .metrics = reader_metrics_,
                                              .reads_per_turn = parts_.reads_per_turn});
  }

  Result<void> Health() const override {
    for (const auto& group : parts_.groups) MUSTER_TRY(group->Health());
    return {};
  }
  std::int64_t CountMembers() const override { return parts_.archive->CountMembers().value_or(0); }

  void Close() override {
    if (parts_.mover) parts_.mover->Stop();
    parts_.relay->Stop();
    parts_.readers->Close();
    for (const auto& group : parts_.groups) group->Close();
  }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return parts_.shards()->GroupOf(shard); }

  void Run(std::uint32_t database, ShardStore::Transaction transaction, Done done) override {
    if (database >= parts_.groups.size()) return done(mariadb::GroupIsNew(database, mariadb::Use::kWrite));
    GroupOf(database).Run(
        [transaction = std::move(transaction)](mariadb::Transaction& rows) mutable { return transaction(rows); },
        std::move(done));
  }
  Timestamp Now(std::uint32_t database) const override { return GroupOf(database).Now(); }

  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override {
    MUSTER_CHECK(database < parts_.groups.size());
    return parts_.archive->ScanLookups(database, after, limit);
  }
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override {
    MUSTER_CHECK(database < parts_.groups.size());
    return parts_.archive->ScanMarked(database, after, limit);
  }
  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override {
    RunCounting<std::uint64_t>(database, std::move(done), [before](mariadb::Transaction& rows) {
      return mariadb::ForgetOperations(rows, before);
    });
  }
  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override {
    auto then = [this, database, done = std::move(done)](Result<std::uint64_t> forgotten) mutable {
      if (!forgotten || *forgotten == mariadb::kForgetRowsMax) return done(std::move(forgotten));
      CountAnswers(database, *forgotten, std::move(done));
    };
    RunCounting<std::uint64_t>(database, std::move(then),
                               [before](mariadb::Transaction& rows) { return mariadb::ForgetAnswers(rows, before); });
  }
  // The stream of all groups lies in the first one.
  void ForgetChanges(std::uint32_t database, Timestamp before, std::int64_t keep_max,
                     std::move_only_function<void(Result<std::uint64_t>)> done) override {
    if (database > 0) return done(0);
    RunCounting<std::uint64_t>(database, std::move(done), [before, keep_max](mariadb::Transaction& rows) {
      return mariadb::ForgetChanges(rows, before, keep_max);
    });
  }

  void Reserve(std::uint64_t lines, Given given) override {
    const auto first_sequence = static_cast<std::uint16_t>(dependencies_.random->Below(1 << 12));
    RunCounting<std::int64_t>(0, std::move(given), [lines, first_sequence](mariadb::Transaction& rows) {
      return mariadb::ReserveRange(rows, lines, first_sequence);
    });
  }
  Result<std::uint64_t> CountLines(std::int64_t first) override { return parts_.archive->CountRangeLines(first); }

 private:
  Group& GroupOf(std::uint32_t database) const {
    MUSTER_CHECK(database < parts_.groups.size());
    return *parts_.groups[database];
  }

  // A transaction of its own: nothing that was forgotten comes back because of it.
  void CountAnswers(std::uint32_t database, std::uint64_t forgotten, Forgotten done) {
    RunCounting<std::uint64_t>(database, std::move(done),
                               [forgotten, clock = dependencies_.clock, &count = GroupOf(database).answer_count()](
                                   mariadb::Transaction& rows) -> Result<std::uint64_t> {
                                 MUSTER_TRY(rows.Note(count.GoOn(*rows.session().connection, *clock, kCountOnFor)));
                                 return forgotten;
                               });
  }

  template <typename Number, typename Count>
  void RunCounting(std::uint32_t database, std::move_only_function<void(Result<Number>)> done, Count count) {
    auto counted = std::make_shared<Number>(0);
    GroupOf(database).Run(
        [counted, count](mariadb::Transaction& rows) -> Result<void> {
          MUSTER_ASSIGN(*counted, count(rows));
          return {};
        },
        [counted, done = std::move(done)](Result<void> result) mutable {
          if (!result) return done(std::unexpected(std::move(result).error()));
          done(*counted);
        });
  }

  const MariadbDependencies dependencies_;
  const ReaderMetrics reader_metrics_;
  const Parts parts_;
  const std::int64_t newest_number_;
};

// For the rows of members when there is a relay, which is told of changes; else a lane of one connection, for what
// `pool` says. One that does not last ends before the store.
std::unique_ptr<Group> MakeGroup(std::uint32_t index, const SessionSettings& session, const ShardMapSource& shards,
                                 const MariadbOptions& options, const MariadbDependencies& dependencies,
                                 mariadb::ChangeRelay* relay, const std::string& pool, bool lasts = true) {
  return std::make_unique<Group>(
      Group::Settings{.index = index,
                      .session = session,
                      .connections = relay ? static_cast<std::size_t>(options.connections) : 1,
                      .queue_max = static_cast<std::size_t>(options.queue_max),
                      .transaction_timeout = std::chrono::milliseconds(options.transaction_timeout_ms),
                      .attempts_max = static_cast<int>(options.attempts_max),
                      .clock_refresh = std::chrono::milliseconds(options.clock_refresh_ms),
                      .pool = pool,
                      .keeps_answers = relay != nullptr,
                      .answers = options.answers,
                      .lasts = lasts},
      Group::Dependencies{.keyring = *dependencies.keyring,
                          .clock = *dependencies.clock,
                          .random = *dependencies.random,
                          .logger = *dependencies.logger,
                          .metrics = *dependencies.metrics,
                          .floor = *dependencies.floor,
                          .cache = dependencies.cache,
                          .shards = shards,
                          .lease = dependencies.lease,
                          .on_change = relay ? [relay](std::uint32_t group) { relay->Nudge(group); }
                                             : std::function<void(std::uint32_t)>(),
                          // The rows of lanes are in no cache.
                          .listener = relay ? dependencies.listener : nullptr});
}

std::vector<std::unique_ptr<Group>> MakeGroups(const std::vector<SessionSettings>& sessions,
                                               const ShardMapSource& shards, const MariadbOptions& options,
                                               const MariadbDependencies& dependencies, mariadb::ChangeRelay* relay,
                                               const std::string& pool) {
  std::vector<std::unique_ptr<Group>> groups;
  groups.reserve(sessions.size());
  for (const SessionSettings& session : sessions) {
    const auto index = static_cast<std::uint32_t>(groups.size());
    groups.push_back(MakeGroup(index, session, shards, options, dependencies, relay, pool));
  }
  return groups;
}

// None where nobody is to move shards.
std::unique_ptr<mariadb::ShardMover> MakeMover(const std::vector<SessionSettings>& sessions,
                                               const ShardMapSource& shards, const MariadbOptions& options,
                                               const MariadbDependencies& dependencies) {
  if (dependencies.mover.topology == nullptr) return nullptr;
  auto make_lane = [sessions, shards, options, dependencies](std::uint32_t group) {
    return MakeGroup(group, sessions[group], shards, options, dependencies, nullptr, "move", false);
  };
  return std::make_unique<mariadb::ShardMover>(
      dependencies.mover, std::move(make_lane), sessions,
      mariadb::ShardMover::Dependencies{
          .clock = *dependencies.clock, .logger = *dependencies.logger, .metrics = *dependencies.metrics});
}

}  // namespace

Result<std::unique_ptr<MariadbStore>> MariadbStore::Open(const MariadbOptions& options,
                                                         const MariadbDependencies& dependencies) {
  MUSTER_CHECK(dependencies.keyring && dependencies.clock && dependencies.random && dependencies.logger &&
               dependencies.metrics && dependencies.floor && dependencies.catalog);
  // What the options name is there, or it is not: who starts the server is told at once.
  mariadb::Patience patience(
      std::chrono::milliseconds(dependencies.placement ? options.open_timeout_ms : std::int64_t{0}),
      *dependencies.logger);
  MUSTER_ASSIGN(std::vector<SessionSettings> sessions,
                patience.For([&] { return mariadb::SessionsOf(options, dependencies.placement); }));
  const ShardMapSource shards = dependencies.shards
                                    ? dependencies.shards
                                    : FixedShards(ShardMap::Spread(static_cast<std::uint32_t>(sessions.size())));
  MUSTER_ASSIGN(const std::int64_t newest_number,
                patience.For([&] { return mariadb::PrepareGroups(sessions, shards, options, dependencies); }));
  if (dependencies.placement) mariadb::LookAtCopies(sessions, dependencies);
  Parts parts;
  if (!dependencies.node_owner.empty()) {
    MUSTER_ASSIGN(parts.node, patience.For([&] {
      return mariadb::Node::Take(sessions.front(), dependencies.node_owner, *dependencies.logger);
    }));
  }
  parts.archive = std::make_unique<Archive>(sessions, shards, *dependencies.keyring, *dependencies.random);
  parts.wakes = std::make_unique<ChangeWakes>();
  parts.feed = std::make_unique<mariadb::StreamFeed>(sessions.front(), *parts.wakes);
  parts.relay = std::make_unique<mariadb::ChangeRelay>(
      MakeGroups(sessions, shards, options, dependencies, nullptr, "relay"), *parts.feed, *parts.wakes,
      std::chrono::milliseconds(options.changes_poll_ms),
      mariadb::ChangeRelay::Dependencies{
          .random = *dependencies.random, .logger = *dependencies.logger, .metrics = *dependencies.metrics});
  parts.groups = MakeGroups(sessions, shards, options, dependencies, parts.relay.get(), "write");
  parts.mover = MakeMover(sessions, shards, options, dependencies);
  const std::chrono::milliseconds read_timeout(options.read_timeout_ms);
  const mariadb::ReadTimes read_times{.lag_max = std::chrono::milliseconds(options.replica_lag_max_ms),
                                      .patience = read_timeout,
                                      .last_patience = std::max<Duration>(read_timeout, std::chrono::seconds(1))};
  parts.reads_per_turn = static_cast<std::size_t>(options.reads_per_turn);
  parts.readers = std::make_unique<ReaderPool>(static_cast<std::size_t>(options.readers), sessions, read_times, shards,
                                               *dependencies.keyring, *dependencies.random, *dependencies.clock);
  parts.shards = shards;
  auto store = std::make_unique<MariadbStoreImpl>(dependencies, std::move(parts), newest_number);
  MUSTER_TRY(patience.For([&] { return store->Start(); }));
  return store;
}

}  // namespace muster
