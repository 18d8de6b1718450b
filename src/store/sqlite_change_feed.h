#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "domain/ports/change_feed.h"
#include "store/change_positions.h"
#include "store/sqlite_database.h"

namespace muster {

// The change tables of all files as one stream, with a connection a file of its own. One call runs at a time.
class SqliteChangeFeed final : public ChangeFeed {
 public:
  static Result<std::unique_ptr<SqliteChangeFeed>> Open(const std::vector<std::string>& paths,
                                                        ChangePositions& positions);

  Result<Page> Read(std::int64_t after, std::size_t limit) override;
  Result<Bounds> ReadBounds() override;
  std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> wake) override {
    return positions_.Subscribe(std::move(wake));
  }

 private:
  // With the snapshots open. POSITION_EXPIRED.
  Result<void> CheckKept(std::int64_t after) const;

  struct File {
    explicit File(Database opened) : database(std::move(opened)) {}
    Database database;
    Statement scan;
  };

  explicit SqliteChangeFeed(ChangePositions& positions) : positions_(positions) {}

  ChangePositions& positions_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace muster
