#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/pii.h"
#include "base/result.h"
#include "store/mariadb/fault.h"

struct st_mysql;
struct st_mysql_stmt;

namespace muster::mariadb {

// A server.
struct Endpoint {
  std::string host;  // empty: `socket`
  std::uint16_t port = 3306;
  std::string socket;  // path of a Unix socket

  // "host:port", or "unix:/path".
  std::string Name() const;
  // Of such a name; INVALID_ARGUMENT.
  static Result<Endpoint> Parse(std::string_view name);
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Account {
  std::string user;
  Pii<std::string> password;  // as secret as a personal value: it cannot be logged
};

// libmariadb counts whole seconds: parts of one count as one, but in `call`.
struct Timeouts {
  Duration connect = std::chrono::seconds(2);
  Duration statement = std::chrono::seconds(5);  // without an answer for so long, the connection is given up
  // The same for a call as a whole, connecting included, in milliseconds; zero: as long as its answer goes on to come.
  Duration call{0};
};

enum class Use : std::uint8_t { kRead, kWrite };

// A number of a text result; 0 when it is none.
std::int64_t NumberIn(const std::string& text);

class Connection;

// A prepared statement: parameters and results are binary. Used by one thread at a time, as its connection is; must not
// outlive it.
class Statement {
 public:
  Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters are numbered from 1. Bytes are not copied: they must live until the statement has run.
  Statement& Bind(int index, std::int64_t value);
  Statement& Bind(int index, std::string_view bytes);

  bool is_prepared() const { return state_ != nullptr; }

  // Runs the statement with what is bound, if no run is under way; true: a row can be read. False: the end was reached.
  Result<bool> Step();
  // Runs a statement that gives no rows; answers how many it matched.
  Result<std::uint64_t> Run();
  // Ends a run whose rows were not all read.
  void Reset();

  // Columns are numbered from 0. Views are valid until the next Step or Reset.
  std::int64_t Integer(int column) const;
  std::string_view Blob(int column) const;

 private:
  friend class Connection;
  struct State;
  explicit Statement(std::unique_ptr<State> state);
  Result<void> Execute();
  std::unexpected<Error> Failure();

  std::unique_ptr<State> state_;
};

// One connection to one database of a server, with deadlines for connecting, sending and receiving. Not thread-safe.
//
// Errors are those of DescribeFault; last_fault() says more. Once lost, a connection stays so.
class Connection {
 public:
  // How soon a call that waits finds that it is to be given up.
  static constexpr Duration kGiveUpWithin = std::chrono::milliseconds(50);

  static Result<std::unique_ptr<Connection>> Open(const Endpoint& endpoint, const Account& account,
                                                  const std::string& database, const Timeouts& timeouts, Use use);
  ~Connection();
  Connection(const Connection&) = delete;

  // As text, without values of rows.
  Result<void> Execute(std::string_view sql);
  using Row = std::vector<std::string>;
  // A small result; NULL is empty.
  Result<std::vector<Row>> Query(std::string_view sql);
  // INTERNAL when there is no row.
  Result<std::int64_t> ReadInteger(std::string_view sql);
  Result<Statement> Prepare(std::string_view sql);

  // Rows that the last Execute inserted, deleted or matched.
  std::uint64_t rows_changed() const;

  std::string Quote(std::string_view text) const;  // as a literal

  // From now on a call that waits for the server is given up soon after this says so: as lost. Quick and thread-safe.
  void GiveUpWhen(std::function<bool()> is_to_be_given_up) { is_to_be_given_up_ = std::move(is_to_be_given_up); }
  // The bound of a call from now on (Timeouts::call).
  void SetCallTimeout(Duration at_most) { call_timeout_ = at_most; }

  // "host:port/database"
  const std::string& where() const { return where_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Of the last call that failed, here or on a statement.
  Fault last_fault() const { return last_fault_; }
  bool is_lost() const { return lost_; }
  // For what this class does not offer: reading the binlog.
  st_mysql* handle() const { return handle_; }

 private:
  friend class Statement;
  class CallScope;
  Connection(st_mysql* handle, Endpoint endpoint, std::string where, Use use)
      : handle_(handle), endpoint_(std::move(endpoint)), where_(std::move(where)), use_(use) {}
  std::unexpected<Error> Failure(unsigned code);
  static int AwaitSocket(int socket, signed char is_read, int timeout_ms);

  st_mysql* const handle_;
  const Endpoint endpoint_;
  const std::string where_;
  const Use use_;
  Duration call_timeout_{0};
  std::function<bool()> is_to_be_given_up_;
  Fault last_fault_ = Fault::kNone;
  bool lost_ = false;
};

}  // namespace muster::mariadb
