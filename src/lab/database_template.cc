#include "lab/database_template.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "lab/component_command.h"
#include "lab/lab_directory.h"

namespace muster::lab {
namespace {

constexpr std::chrono::seconds kTemplatePatience{120};
constexpr const char* kTemplateProcess = "mariadb-install-db";

std::string TemplateOf(const Layout& layout) { return layout.directory() + "/template"; }

std::unexpected<Error> CannotCopy(const std::string& path, const std::error_code& error) {
  return Fail(Reason::kInternal, "cannot make " + path + ": " + error.message());
}

// Directories whose paths begin so; what cannot be removed now is no harm.
void RemoveUnfinished(const std::filesystem::path& prefix) {
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path(), error)) {
    if (entry.path().native().starts_with(prefix.native())) unfinished.push_back(entry.path());
  }
  for (const auto& path : unfinished) std::filesystem::remove_all(path, error);
}

Result<ProcessSpec> MakerOf(const Layout& layout, const Programs& programs, const std::string& data) {
  const std::string log = layout.directory() + "/template.log";
  const std::string accounts = layout.SecretOf("accounts.sql");
  MUSTER_ASSIGN(const std::string sql, AccountsSql(layout));
  MUSTER_TRY(WriteLabFile(accounts, sql));
  ProcessSpec spec{.command = {programs.mariadb_install, "--no-defaults", "--auth-root-authentication-method=normal",
                               "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M",
                               "--extra-file=" + accounts, "--tmpdir=" + layout.directory(), "--datadir=" + data},
                   .environment = CleanEnvironment(),
                   .directory = layout.directory(),
                   .log = log};
  if (::geteuid() == 0) spec.command.emplace_back("--user=root");
  return spec;
}

}  // namespace

Result<std::string> AccountsSql(const Layout& layout) {
  MUSTER_ASSIGN(const std::string store_password, ReadSecret(layout, "store-password"));
  MUSTER_ASSIGN(const std::string control_password, ReadSecret(layout, "control-password"));
  MUSTER_ASSIGN(const std::string replica_password, ReadSecret(layout, "replica-password"));
  const std::string here = "@'127.0.0.1'";
  const auto create = [&](const std::string& user, const std::string& password) {
    return "CREATE USER '" + user + "'" + here + " IDENTIFIED BY '" + password + "';\n";
  };
  // The program that makes the directory has accounts switched off until the first FLUSH.
  std::string sql =
      "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys' AND Host <> 'localhost';\nFLUSH PRIVILEGES;\n"
      "CREATE DATABASE muster CHARACTER SET utf8mb4;\n";
  sql += create("muster", store_password);
  sql += "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON muster.* TO 'muster'" + here + ";\n";
  sql += create("muster_control", control_password);
  sql +=
      "GRANT REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN, BINLOG MONITOR, SLAVE "
      "MONITOR, READ ONLY ADMIN, CONNECTION ADMIN, CREATE USER, RELOAD, PROCESS ON *.* TO 'muster_control'" +
      here + ";\n";
  for (const char* const what : {"SELECT ON mysql.*", "ALL ON muster_control.*", "ALL ON muster.*"}) {
    sql += std::string("GRANT ") + what + " TO 'muster_control'" + here + ";\n";
  }
  for (const Component* const database : layout.All(Kind::kMariadb)) {
    const std::string user = "repl_" + database->name;
    sql += create(user, replica_password);
    sql.append("GRANT REPLICATION SLAVE ON *.* TO '").append(user).append("'").append(here).append(";\n");
  }
  return sql;
}

Result<void> EnsureDatabaseTemplate(const Layout& layout, const Programs& programs, ProcessKeeper& keeper) {
  std::error_code error;
  if (std::filesystem::exists(TemplateOf(layout), error)) return {};
  // What the script of an interrupted one has started may still write there for a moment.
  const std::string making = TemplateOf(layout) + ".tmp-" + std::to_string(::getpid());
  RemoveUnfinished(TemplateOf(layout) + ".tmp-");
  MUSTER_ASSIGN(const ProcessSpec spec, MakerOf(layout, programs, making));
  MUSTER_TRY(keeper.Start(kTemplateProcess, spec));
  const bool has_ended = keeper.WaitForEnd(kTemplateProcess, kTemplatePatience);
  if (!has_ended) MUSTER_TRY(keeper.Kill({kTemplateProcess}));
  if (!has_ended || !keeper.LookAt(kTemplateProcess).succeeded) {
    constexpr std::size_t kShownBytes = 1000;
    return Fail(Reason::kInternal, "mariadb-install-db did not make a data directory (" +
                                       keeper.LookAt(kTemplateProcess).end + "); " + spec.log + " ends with:\n" +
                                       ReadLabTail(spec.log, kShownBytes).value_or(""));
  }
  std::filesystem::rename(making, TemplateOf(layout), error);
  if (error) return CannotCopy(TemplateOf(layout), error);
  return {};
}

bool HasDatabaseData(const Layout& layout, const Component& database) {
  std::error_code error;
  return std::filesystem::exists(DatabaseDataOf(layout, database), error);
}

Result<void> EnsureDatabaseData(const Layout& layout, const Component& database) {
  if (HasDatabaseData(layout, database)) return {};
  std::error_code error;
  const std::string data = DatabaseDataOf(layout, database), copying = data + ".tmp";
  std::filesystem::remove_all(copying, error);
  std::filesystem::copy(TemplateOf(layout), copying, std::filesystem::copy_options::recursive, error);
  if (error) return CannotCopy(copying, error);
  std::filesystem::rename(copying, data, error);
  if (error) return CannotCopy(data, error);
  return {};
}

}  // namespace muster::lab
