#include "store/mariadb/connection.h"

#include <mysql.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <mutex>

#include "base/check.h"

namespace muster::mariadb {
namespace {

// What a column of bytes is read into first; a longer value is fetched again, whole.
constexpr std::size_t kColumnBytes = 2048;

void InitialiseOnce() {
  static std::once_flag once;
  std::call_once(once, [] { MUSTER_CHECK(mysql_server_init(0, nullptr, nullptr) == 0); });
}

unsigned Seconds(Duration duration) {
  return static_cast<unsigned>(std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count()));
}

using SteadyTime = std::chrono::steady_clock::time_point;

int MillisUntil(SteadyTime until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000));
}

}  // namespace

// A call of a connection, as long as it lives: what AwaitSocket, which libmariadb calls on the same thread, goes by.
class Connection::CallScope {
 public:
  explicit CallScope(const Connection& connection) : is_outermost_(current == nullptr), connection_(connection) {
    if (!is_outermost_) return;
    current = this;
    if (connection.call_timeout_ > Duration(0)) until_ = std::chrono::steady_clock::now() + connection.call_timeout_;
  }
  ~CallScope() {
    if (is_outermost_) current = nullptr;
  }
  CallScope(const CallScope&) = delete;

  bool IsToBeGivenUp() const { return connection_.is_to_be_given_up_ && connection_.is_to_be_given_up_(); }
  bool looks() const { return connection_.is_to_be_given_up_ != nullptr; }
  SteadyTime until() const { return until_; }

  static thread_local const CallScope* current;

 private:
  const bool is_outermost_;
  const Connection& connection_;
  SteadyTime until_ = SteadyTime::max();
};

thread_local const Connection::CallScope* Connection::CallScope::current = nullptr;

// As poll(2): 1 when the socket is ready, 0 when the time is over, -1.
int Connection::AwaitSocket(int socket, signed char is_read, int timeout_ms) {
  const CallScope* const call = CallScope::current;
  SteadyTime until = SteadyTime::max();
  if (timeout_ms > 0) until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  if (call != nullptr) until = std::min(until, call->until());
  const bool looks = call != nullptr && call->looks();
  const int slice_ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kGiveUpWithin).count());
  pollfd awaited{.fd = socket, .events = static_cast<short>(is_read != 0 ? POLLIN : POLLOUT), .revents = 0};
  while (true) {
    int wait_ms = until == SteadyTime::max() ? -1 : MillisUntil(until);
    if (looks) wait_ms = wait_ms < 0 ? slice_ms : std::min(wait_ms, slice_ms);
    const int ready = poll(&awaited, 1, wait_ms);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return ready;
    const bool is_over = until != SteadyTime::max() && std::chrono::steady_clock::now() >= until;
    if (is_over || (looks && call->IsToBeGivenUp())) {
      errno = ETIMEDOUT;
      return 0;
    }
  }
}

std::string Endpoint::Name() const { return host.empty() ? "unix:" + socket : host + ":" + std::to_string(port); }

Result<Endpoint> Endpoint::Parse(std::string_view name) {
  Endpoint endpoint;
  if (name.starts_with("unix:")) {
    endpoint.socket = name.substr(5);
    if (endpoint.socket.starts_with('/')) return endpoint;
  } else if (const std::size_t colon = name.rfind(':'); colon != std::string_view::npos && colon > 0) {
    endpoint.host = name.substr(0, colon);
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + colon + 1, end, endpoint.port);
    if (parsed.ec == std::errc() && parsed.ptr == end && endpoint.port != 0) return endpoint;
  }
  return Fail(Reason::kInvalidArgument,
              "\"" + std::string(name) + "\" is no server: write host:port, or unix:/path of its socket");
}

std::int64_t NumberIn(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

struct Statement::State {
  struct Column {
    std::int64_t number = 0;
    std::string bytes = std::string(kColumnBytes, '\0');
    unsigned long length = 0;
    my_bool is_null = 0;
    my_bool is_cut = 0;
  };

  State(Connection& owner, MYSQL_STMT* prepared) : connection(owner), handle(prepared) {}
  State(const State&) = delete;
  ~State() { mysql_stmt_close(handle); }

  Connection& connection;
  MYSQL_STMT* const handle;
  std::vector<MYSQL_BIND> parameters;
  std::vector<std::int64_t> numbers;  // of the parameters that are numbers
  std::deque<Column> columns;
  std::vector<MYSQL_BIND> results;
  bool is_under_way = false;
};

Statement::Statement() = default;
Statement::Statement(std::unique_ptr<State> state) : state_(std::move(state)) {}
Statement::Statement(Statement&& other) noexcept = default;
Statement& Statement::operator=(Statement&& other) noexcept = default;
Statement::~Statement() = default;

Statement& Statement::Bind(int index, std::int64_t value) {
  const auto at = static_cast<std::size_t>(index - 1);
  MYSQL_BIND& bind = state_->parameters.at(at);
  state_->numbers.at(at) = value;
  bind = {};
  bind.buffer_type = MYSQL_TYPE_LONGLONG;
  bind.buffer = &state_->numbers[at];
  return *this;
}

Statement& Statement::Bind(int index, std::string_view bytes) {
  MYSQL_BIND& bind = state_->parameters.at(static_cast<std::size_t>(index - 1));
  bind = {};
  bind.buffer_type = MYSQL_TYPE_BLOB;
  bind.buffer = const_cast<char*>(bytes.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast): only read
  bind.buffer_length = bytes.size();
  return *this;
}

std::unexpected<Error> Statement::Failure() { return state_->connection.Failure(mysql_stmt_errno(state_->handle)); }

Result<void> Statement::Execute() {
  MYSQL_STMT* const handle = state_->handle;
  const Connection::CallScope call(state_->connection);
  if (!state_->parameters.empty() && mysql_stmt_bind_param(handle, state_->parameters.data()) != 0) return Failure();
  if (mysql_stmt_execute(handle) != 0) return Failure();
  return {};
}

Result<bool> Statement::Step() {
  MYSQL_STMT* const handle = state_->handle;
  if (!state_->is_under_way) {
    const Connection::CallScope call(state_->connection);
    MUSTER_TRY(Execute());
    if (mysql_stmt_store_result(handle) != 0) return Failure();
    state_->is_under_way = true;
  }
  const int code = mysql_stmt_fetch(handle);
  if (code == MYSQL_NO_DATA) {
    Reset();
    return false;
  }
  if (code != 0 && code != MYSQL_DATA_TRUNCATED) return Failure();
  for (std::size_t index = 0; index < state_->columns.size(); ++index) {
    State::Column& column = state_->columns[index];
    MYSQL_BIND& bind = state_->results[index];
    if (bind.buffer_type != MYSQL_TYPE_BLOB || column.length <= column.bytes.size()) continue;
    // From now on the column has room for values of this length.
    column.bytes.resize(column.length);
    bind.buffer = column.bytes.data();
    bind.buffer_length = column.bytes.size();
    if (mysql_stmt_fetch_column(handle, &bind, static_cast<unsigned>(index), 0) != 0) return Failure();
    if (mysql_stmt_bind_result(handle, state_->results.data()) != 0) return Failure();
  }
  return true;
}

Result<std::uint64_t> Statement::Run() {
  MUSTER_TRY(Execute());
  return mysql_stmt_affected_rows(state_->handle);
}

void Statement::Reset() {
  if (!state_->is_under_way) return;
  mysql_stmt_free_result(state_->handle);
  state_->is_under_way = false;
}

std::int64_t Statement::Integer(int column) const {
  return state_->columns.at(static_cast<std::size_t>(column)).number;
}

std::string_view Statement::Blob(int column) const {
  const State::Column& value = state_->columns.at(static_cast<std::size_t>(column));
  return {value.bytes.data(), value.is_null ? 0 : value.length};
}

Result<std::unique_ptr<Connection>> Connection::Open(const Endpoint& endpoint, const Account& account,
                                                     const std::string& database, const Timeouts& timeouts, Use use) {
  InitialiseOnce();
  MYSQL* const handle = mysql_init(nullptr);
  MUSTER_CHECK(handle != nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle, endpoint, endpoint.Name() + "/" + database, use));
  connection->call_timeout_ = timeouts.call;
  const CallScope call(*connection);
  const unsigned connect_seconds = Seconds(timeouts.connect);
  const unsigned statement_seconds = Seconds(timeouts.statement);
  const unsigned no_local_infile = 0;
  mysql_optionsv(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_seconds);
  mysql_optionsv(handle, MYSQL_OPT_READ_TIMEOUT, &statement_seconds);
  mysql_optionsv(handle, MYSQL_OPT_WRITE_TIMEOUT, &statement_seconds);
  mysql_optionsv(handle, MARIADB_OPT_IO_WAIT, &Connection::AwaitSocket);
  mysql_optionsv(handle, MYSQL_OPT_LOCAL_INFILE, &no_local_infile);
  mysql_optionsv(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const bool by_socket = endpoint.host.empty();
  const unsigned protocol = by_socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_optionsv(handle, MYSQL_OPT_PROTOCOL, &protocol);
  // Updates answer how many rows they matched, whether or not these changed.
  if (mysql_real_connect(handle, by_socket ? nullptr : endpoint.host.c_str(), account.user.c_str(),
                         account.password.Reveal().c_str(), database.empty() ? nullptr : database.c_str(),
                         by_socket ? 0 : endpoint.port, by_socket ? endpoint.socket.c_str() : nullptr,
                         CLIENT_FOUND_ROWS) == nullptr) {
    return connection->Failure(mysql_errno(handle));
  }
  return connection;
}

Connection::~Connection() { mysql_close(handle_); }

std::unexpected<Error> Connection::Failure(unsigned code) {
  last_fault_ = FaultOf(code);
  lost_ = lost_ || last_fault_ == Fault::kLost;
  return Fail(DescribeFault(last_fault_, where_, code, use_ == Use::kRead));
}

Result<void> Connection::Execute(std::string_view sql) {
  const CallScope call(*this);
  if (mysql_real_query(handle_, sql.data(), sql.size()) != 0) return Failure(mysql_errno(handle_));
  return {};
}

Result<std::vector<Connection::Row>> Connection::Query(std::string_view sql) {
  const CallScope call(*this);
  MUSTER_TRY(Execute(sql));
  const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result(mysql_store_result(handle_),
                                                                        &mysql_free_result);
  if (!result) return Failure(mysql_errno(handle_));
  std::vector<Row> rows;
  while (MYSQL_ROW fields = mysql_fetch_row(result.get())) {
    const unsigned long* const lengths = mysql_fetch_lengths(result.get());
    Row& row = rows.emplace_back();
    for (unsigned index = 0; index < mysql_num_fields(result.get()); ++index) {
      row.emplace_back(fields[index] ? fields[index] : "", fields[index] ? lengths[index] : 0);
    }
  }
  return rows;
}

Result<std::int64_t> Connection::ReadInteger(std::string_view sql) {
  MUSTER_ASSIGN(const std::vector<Row> rows, Query(sql));
  std::int64_t number = 0;
  if (rows.empty() || rows[0].empty() ||
      std::from_chars(rows[0][0].data(), rows[0][0].data() + rows[0][0].size(), number).ec != std::errc()) {
    return Fail(Reason::kInternal, where_ + ": no number where one belongs; run `muster doctor`");
  }
  return number;
}

Result<Statement> Connection::Prepare(std::string_view sql) {
  MYSQL_STMT* const handle = mysql_stmt_init(handle_);
  MUSTER_CHECK(handle != nullptr);
  const CallScope call(*this);
  auto state = std::make_unique<Statement::State>(*this, handle);
  if (mysql_stmt_prepare(handle, sql.data(), sql.size()) != 0) return Failure(mysql_stmt_errno(handle));
  state->parameters.resize(mysql_stmt_param_count(handle));
  state->numbers.resize(state->parameters.size());
  const unsigned column_count = mysql_stmt_field_count(handle);
  if (column_count == 0) return Statement(std::move(state));
  const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> metadata(mysql_stmt_result_metadata(handle),
                                                                          &mysql_free_result);
  if (!metadata) return Failure(mysql_stmt_errno(handle));
  const MYSQL_FIELD* const fields = mysql_fetch_fields(metadata.get());
  state->results.resize(column_count);
  for (unsigned index = 0; index < column_count; ++index) {
    Statement::State::Column& column = state->columns.emplace_back();
    MYSQL_BIND& bind = state->results[index];
    bind.length = &column.length;
    bind.is_null = &column.is_null;
    bind.error = &column.is_cut;
    if (IS_NUM(fields[index].type)) {
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = &column.number;
    } else {
      bind.buffer_type = MYSQL_TYPE_BLOB;
      bind.buffer = column.bytes.data();
      bind.buffer_length = column.bytes.size();
    }
  }
  if (mysql_stmt_bind_result(handle, state->results.data()) != 0) return Failure(mysql_stmt_errno(handle));
  return Statement(std::move(state));
}

std::uint64_t Connection::rows_changed() const { return mysql_affected_rows(handle_); }

std::string Connection::Quote(std::string_view text) const {
  std::string escaped(text.size() * 2 + 1, '\0');
  escaped.resize(mysql_real_escape_string(handle_, escaped.data(), text.data(), text.size()));
  return "'" + escaped + "'";
}

}  // namespace muster::mariadb
