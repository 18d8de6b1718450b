#include "store/mariadb/replication.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "store/mariadb/replication_rebuild.h"
#include "store/mariadb/replication_session.h"

namespace muster::mariadb {
namespace {

using failover::Acknowledging;
using failover::DatabaseState;
using failover::PrimaryOrder;
using failover::ReplicaControl;
using failover::ReplicationSource;

// Looks are short, or worth nothing.
constexpr Timeouts kLookTimeouts{.connect = std::chrono::seconds(1), .statement = std::chrono::seconds(1)};
// One statement of a rebuild.
constexpr Timeouts kRebuildTimeouts{.connect = std::chrono::seconds(1), .statement = std::chrono::seconds(60)};
// Half a second between two tries of the disk, which cost the server more than all else that it is asked.
constexpr std::uint64_t kLooksOfDiskTry = 5;
constexpr Duration kOrderMost = std::chrono::seconds(5);

class MariadbReplicaControl final : public ReplicaControl {
 public:
  MariadbReplicaControl(ReplicationOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  Result<DatabaseState> Look(Deadline /*deadline*/) override {
    if (!looks_ || looks_->is_lost()) {
      MUSTER_ASSIGN(looks_, Connection::Open(options_.endpoint, options_.control, "", kLookTimeouts, Use::kRead));
    }
    // One that failed is tried again by the next look, so that the server does not answer until its disk has room.
    const bool tries_disk = !last_look_answered_ || looks_taken_++ % kLooksOfDiskTry == 0;
    Result<DatabaseState> state = ReadState(*looks_, options_, tries_disk);
    last_look_answered_ = state.has_value();
    return state;
  }

  Result<void> StopReceiving(std::int64_t revision, Deadline deadline) override {
    MUSTER_ASSIGN(ReplicationSession session, Begin(revision, deadline));
    MUSTER_TRY(session.Run({"SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = 1", "STOP SLAVE IO_THREAD"}));
    MUSTER_ASSIGN(const DatabaseState state, ReadState(session.connection(), options_));
    const bool was_restarted = !state.following.empty() && !state.applies;
    if (!was_restarted || state.fault != failover::ReplicaFault::kNone) return {};
    return session.Run({FollowingId(revision), "START SLAVE SQL_THREAD"});
  }

  Result<void> Follow(std::int64_t revision, const ReplicationSource& source, Acknowledging acknowledges,
                      Deadline deadline) override {
    MUSTER_ASSIGN(ReplicationSession session, Begin(revision, deadline));
    MUSTER_TRY(session.RefuseIfPromoted(revision));
    MUSTER_ASSIGN(const DatabaseState state, ReadState(session.connection(), options_));
    if (state.is_writable) MUSTER_TRY(session.StopWriting());
    // Not before: it would let go on what waits. A replica whose commits wait for acknowledgements applies nothing.
    MUSTER_TRY(session.Run({"SET GLOBAL rpl_semi_sync_master_enabled = OFF"}));
    if (state.following == source.address && state.applies) {
      // With its applying thread stopped as well it would throw away what it has received and not applied.
      const bool is_yes = acknowledges == Acknowledging::kYes;
      const bool remembers = acknowledges == Acknowledging::kNotNow || state.may_have_acknowledged == is_yes;
      if (state.acknowledges == is_yes && remembers && state.receives) return {};
      if (state.receives) MUSTER_TRY(session.Run({"STOP SLAVE IO_THREAD"}));
      return session.StartReceiving(revision, acknowledges, "START SLAVE IO_THREAD");
    }
    if (!state.following.empty()) MUSTER_TRY(session.Run({"STOP SLAVE"}));
    return StartFollowing(session, revision, source, acknowledges, state.following.empty());
  }

  Result<void> Promote(std::int64_t revision, bool waits, Deadline deadline) override {
    MUSTER_ASSIGN(ReplicationSession session, Begin(revision, deadline));
    MUSTER_ASSIGN(const DatabaseState state, ReadState(session.connection(), options_));
    if (!state.following.empty() && !state.applied.Covers(state.received)) {
      return Fail(Reason::kStateConflict, options_.name + " has received what it has not applied yet; try again");
    }
    if (!state.following.empty()) MUSTER_TRY(session.Run({"STOP SLAVE", "RESET SLAVE ALL"}));
    MUSTER_TRY(session.Run({"SET GLOBAL rpl_semi_sync_slave_enabled = OFF"}));
    MUSTER_TRY(session.SetWaiting(waits));
    MUSTER_TRY(session.RememberPromotion(revision));
    return session.Run({"SET GLOBAL read_only = 0"});
  }

  Result<void> Govern(std::int64_t revision, const PrimaryOrder& order, Deadline deadline) override {
    MUSTER_ASSIGN(ReplicationSession session, Begin(revision, deadline));
    MUSTER_ASSIGN(const DatabaseState state, ReadState(session.connection(), options_));
    if (!state.following.empty()) {
      return Fail(Reason::kStateConflict, options_.name + " follows " + state.following + ", so it is no primary");
    }
    MUSTER_TRY(session.ShutOut(order.shut_out));
    MUSTER_TRY(session.SetWaiting(order.waits));
    if (order.is_writable) return session.Run({"SET GLOBAL read_only = 0"});
    return state.is_writable ? session.StopWriting() : Result<void>();
  }

  Result<std::string> Rebuild(std::int64_t revision, const ReplicationSource& source,
                              const std::function<bool()>& goes_on) override {
    MUSTER_ASSIGN(const Endpoint from, Endpoint::Parse(source.address));
    MUSTER_ASSIGN(auto donor, Connection::Open(from, options_.control, "", kRebuildTimeouts, Use::kRead));
    MUSTER_ASSIGN(ReplicationSession session,
                  ReplicationSession::Begin(options_, revision, kRebuildTimeouts.statement));
    MUSTER_TRY(session.MayTakeLong());
    MUSTER_TRY(session.RefuseIfPromoted(revision));
    MUSTER_ASSIGN(const DatabaseState state, ReadState(session.connection(), options_));
    // Of two controllers that go by one topology the slower one is not to begin anew.
    const bool follows = state.following == source.address && state.is_connected && state.applies;
    if (follows && state.fault == failover::ReplicaFault::kNone) return options_.name + " follows already";
    if (!goes_on()) return Fail(Reason::kWritesUnavailable, options_.name + " is not to be rebuilt any more");
    // An old primary whose last commits wait for ever.
    if (state.is_writable) MUSTER_TRY(session.GiveUpWriting());
    MUSTER_TRY(session.Run({"SET GLOBAL rpl_semi_sync_master_enabled = OFF"}));
    MUSTER_ASSIGN(std::string saved, SaveWhatItHasMore(session.connection(), *donor, source.name));
    Result<void> done = BecomeCopy(session, *donor, goes_on);
    if (done) done = StartFollowing(session, revision, source, Acknowledging::kNo, false);
    if (done) return saved;
    return Fail(done.error().reason, done.error().message + "; " + saved);
  }

 private:
  Result<void> BecomeCopy(ReplicationSession& session, Connection& donor, const std::function<bool()>& goes_on) const {
    const Connection& connection = session.connection();
    // Whoever has it follow before it is a whole copy is refused.
    MUSTER_TRY(session.Run({"STOP SLAVE", "RESET SLAVE ALL", "RESET MASTER",
                            "SET GLOBAL gtid_slave_pos = " + connection.Quote(kPositionOfNobody)}));
    MUSTER_ASSIGN(const failover::GtidPosition position,
                  CopyDatabase(donor, session.connection(), options_.database, goes_on));
    return session.Run({"SET GLOBAL gtid_slave_pos = " + connection.Quote(position.Text())});
  }

  // In a file named by where its log leaves that of `donor` and where it ends, so that another attempt writes the same
  // one. Says what is in which file.
  Result<std::string> SaveWhatItHasMore(Connection& server, Connection& donor, const std::string& donor_name) {
    MUSTER_ASSIGN(const auto end, server.Query("SELECT @@GLOBAL.gtid_binlog_pos"));
    if (end[0][0].empty()) return options_.name + " had no log, so nothing was saved";
    MUSTER_ASSIGN(const failover::GtidPosition common, DivergedAfter(server, donor));
    const std::string path = options_.saved_directory + "/" + options_.name + "-after-" +
                             (common.empty() ? "start" : common.Text()) + "-to-" + end[0][0] + ".binlog";
    MUSTER_ASSIGN(auto reader, Connection::Open(options_.endpoint, options_.control, "", kRebuildTimeouts, Use::kRead));
    auto saved = SaveBinlog(*reader, common, path);
    const bool is_all = !saved && saved.error().reason == Reason::kNotFound;
    if (is_all) {
      // It was rebuilt itself since, or its first logs are gone: all that there is may be more than what differs.
      MUSTER_ASSIGN(reader, Connection::Open(options_.endpoint, options_.control, "", kRebuildTimeouts, Use::kRead));
      saved = SaveBinlog(*reader, std::nullopt, path);
    }
    if (!saved) return Fail(std::move(saved).error());
    return path + " has " + (is_all ? "all its " : "") + std::to_string(*saved) + " transactions" +
           (is_all ? "" : " that " + donor_name + " does not have");
  }

  // As what it follows. A replica passes over events of its own server_id: one that was a primary, and was truncated
  // when it came back, would lack what it wrote itself and others have. So it is somebody else each time it begins to
  // follow: an id above those of configurations, of this order and of its place in its group.
  std::string FollowingId(std::int64_t revision) const {
    constexpr std::uint64_t kIds = std::uint64_t{1} << 31;
    const auto place =
        std::ranges::count_if(options_.peers, [&](const std::string& peer) { return peer < options_.name; });
    const std::uint64_t number =
        static_cast<std::uint64_t>(revision) * kDatabasesOfGroupMax + static_cast<std::uint64_t>(place);
    return "SET GLOBAL server_id = " + std::to_string(kIds + number % kIds);
  }

  Result<void> StartFollowing(ReplicationSession& session, std::int64_t revision, const ReplicationSource& source,
                              Acknowledging acknowledges, bool was_primary) {
    MUSTER_ASSIGN(const Endpoint to, Endpoint::Parse(source.address));
    const Connection& connection = session.connection();
    if (was_primary) {
      // It begins where its own log ends; one without a log, where it was told to.
      MUSTER_ASSIGN(const auto end, session.connection().Query("SELECT @@GLOBAL.gtid_binlog_pos"));
      if (!end[0][0].empty()) {
        MUSTER_TRY(session.Run({"SET GLOBAL gtid_slave_pos = " + connection.Quote(end[0][0])}));
      }
    }
    const std::string change = "CHANGE MASTER TO MASTER_HOST = " + connection.Quote(to.host) +
                               ", MASTER_PORT = " + std::to_string(to.port) +
                               ", MASTER_USER = " + connection.Quote(options_.replica_user_prefix + options_.name) +
                               ", MASTER_PASSWORD = " + connection.Quote(options_.replica_password.Reveal()) +
                               ", MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 0.3, MASTER_USE_GTID = slave_pos";
    MUSTER_TRY(session.Run({"SET GLOBAL slave_net_timeout = 1", "SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = 1",
                            FollowingId(revision)}));
    Result<void> changed = session.Run({change});
    if (!changed && connection.last_fault() == Fault::kNoSource) {
      // It was killed between the making of such a file and its first line. Where it begins is in a table.
      changed = session.Run({"RESET SLAVE ALL", change});
    }
    MUSTER_TRY(std::move(changed));
    return session.StartReceiving(revision, acknowledges, "START SLAVE");
  }

  Result<ReplicationSession> Begin(std::int64_t revision, Deadline deadline) {
    const Duration left =
        std::min(deadline.at() == Instant::max() ? kOrderMost : deadline.at() - clock_.Monotonic(), kOrderMost);
    if (left <= Duration(0)) return Fail(Reason::kWritesUnavailable, options_.name + ": there was no time left");
    return ReplicationSession::Begin(options_, revision, left);
  }

  const ReplicationOptions options_;
  const Clock& clock_;
  std::unique_ptr<Connection> looks_;
  std::uint64_t looks_taken_ = 0;
  bool last_look_answered_ = true;
};

}  // namespace

std::unique_ptr<ReplicaControl> MakeReplicaControl(ReplicationOptions options, const Clock& clock) {
  return std::make_unique<MariadbReplicaControl>(std::move(options), clock);
}

}  // namespace muster::mariadb
