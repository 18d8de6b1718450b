#include "store/sqlite_change_feed.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "store/change_wakes.h"
#include "store/member_codec.h"

namespace muster {
namespace {

// Most pages at the end of the stream are short.
constexpr std::size_t kReservedEvents = 512;

// The changes of one file between two positions. Whatever way it is left, it ends its snapshot.
class ChangeCursor {
 public:
  ChangeCursor(Statement& scan, std::int64_t after, std::int64_t until, std::size_t limit) : scan_(scan) {
    scan_.Bind(1, after).Bind(2, until).Bind(3, static_cast<std::int64_t>(limit));
  }
  ChangeCursor(const ChangeCursor&) = delete;
  ~ChangeCursor() { scan_.Reset(); }

  Result<void> Advance() {
    MUSTER_ASSIGN(const bool found, scan_.Step());
    position_ = found ? std::optional(scan_.Integer(0)) : std::nullopt;
    return {};
  }
  const std::optional<std::int64_t>& position() const { return position_; }
  Result<ChangeEvent> Read() const {
    ChangeEvent event{.position = *position_,
                      .member_id = MemberId(scan_.Integer(1)),
                      .version = Version(scan_.Integer(2)),
                      .time = Timestamp(Duration(scan_.Integer(4)))};
    MUSTER_ASSIGN(event.type, DecodeChangeType(event.member_id, scan_.Integer(3)));
    return event;
  }

 private:
  Statement& scan_;
  std::optional<std::int64_t> position_;
};

}  // namespace

Result<std::unique_ptr<SqliteChangeFeed>> SqliteChangeFeed::Open(const std::vector<std::string>& paths,
                                                                 ChangePositions& positions) {
  std::unique_ptr<SqliteChangeFeed> feed(new SqliteChangeFeed(positions));
  for (const std::string& path : paths) {
    MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kRead));
    auto file = std::make_unique<File>(std::move(database));
    MUSTER_ASSIGN(file->scan,
                  file->database.Prepare("SELECT position, member_id, version, type, time FROM change "
                                         "WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"));
    feed->files_.push_back(std::move(file));
  }
  return feed;
}

Result<void> SqliteChangeFeed::CheckKept(std::int64_t after) const {
  if (after >= positions_.before_earliest()) return {};
  return FailExpired(after);
}

Result<ChangeFeed::Page> SqliteChangeFeed::Read(std::int64_t after, std::size_t limit) {
  const std::int64_t until = positions_.Readable();
  Page page{.events = {}, .next = after};
  if (until <= after) {
    MUSTER_TRY(CheckKept(after));
    return page;
  }
  std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<ChangeCursor>> cursors;
  for (const auto& file : files_) {
    cursors.push_back(std::make_unique<ChangeCursor>(file->scan, after, until, limit));
    MUSTER_TRY(cursors.back()->Advance());
  }
  MUSTER_TRY(CheckKept(after));
  page.events.reserve(std::min(limit, kReservedEvents));
  while (page.events.size() < limit) {
    ChangeCursor* lowest = nullptr;
    for (const auto& cursor : cursors) {
      if (cursor->position() && (!lowest || *cursor->position() < *lowest->position())) lowest = cursor.get();
    }
    if (!lowest) {
      page.next = until;  // beyond gaps
      return page;
    }
    MUSTER_ASSIGN(page.events.emplace_back(), lowest->Read());
    MUSTER_TRY(lowest->Advance());
  }
  page.next = page.events.empty() ? after : page.events.back().position;
  return page;
}

Result<ChangeFeed::Bounds> SqliteChangeFeed::ReadBounds() {
  const std::int64_t before_earliest = positions_.before_earliest();
  return Bounds{.before_earliest = before_earliest, .latest = std::max(positions_.Readable(), before_earliest)};
}

}  // namespace muster
