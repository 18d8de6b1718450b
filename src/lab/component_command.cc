#include "lab/component_command.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "lab/lab_directory.h"

namespace muster::lab {
namespace {

using Arguments = std::vector<std::string>;

std::string HttpUrl(std::uint16_t port) { return "http://" + Layout::Address(port); }

Arguments EtcdArguments(const Layout& layout, const Programs& programs, const Component& voter) {
  std::string cluster;
  for (const Component* const one : layout.All(Kind::kEtcd)) {
    cluster += (cluster.empty() ? "" : ",") + one->name + "=" + HttpUrl(one->remote_peer_port);
  }
  return {programs.etcd, "--name=" + voter.name, "--data-dir=" + layout.DirectoryOf(voter) + "/data",
          "--listen-client-urls=" + HttpUrl(voter.port), "--advertise-client-urls=" + HttpUrl(voter.port),
          "--listen-peer-urls=" + HttpUrl(voter.peer_port),
          // Voters have one address each for all others, and are in places of their own: through the proxy.
          "--initial-advertise-peer-urls=" + HttpUrl(voter.remote_peer_port), "--initial-cluster=" + cluster,
          "--initial-cluster-token=" + std::to_string(layout.first_port()), "--pre-vote", "--heartbeat-interval=50",
          "--election-timeout=500", "--logger=zap", "--log-level=warn",
          // What a killed process wrote stays; only a machine that crashes would lose it.
          "--unsafe-no-fsync"};
}

Arguments DatabaseArguments(const Layout& layout, const Programs& programs, const Component& database,
                            const StartTerms& terms) {
  const std::string directory = layout.DirectoryOf(database);
  Arguments arguments = {programs.mariadbd,
                         "--no-defaults",
                         "--datadir=" + DatabaseDataOf(layout, database),
                         "--tmpdir=" + directory,
                         "--socket=socket",  // in its data: a whole path may be too long for one
                         "--pid-file=" + directory + "/pid",
                         "--bind-address=127.0.0.1",
                         "--port=" + std::to_string(database.port),
                         "--server-id=" + std::to_string(database.number),
                         "--skip-name-resolve",
                         "--character-set-server=utf8mb4",
                         "--max-connections=500",
                         "--innodb-buffer-pool-size=64M",
                         "--innodb-log-file-size=8M",
                         "--innodb-use-native-aio=0",
                         "--innodb-flush-log-at-trx-commit=1",
                         "--log-bin=binlog",
                         "--sync-binlog=1",
                         "--binlog-format=ROW",
                         "--log-slave-updates=ON",
                         "--gtid-strict-mode=ON",
                         "--relay-log=relay",
                         "--skip-slave-start=ON",
                         "--slave-net-timeout=1",
                         "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
                         "--rpl-semi-sync-master-timeout=4294967295",
                         "--rpl-semi-sync-master-wait-no-slave=ON",
                         "--read-only=ON"};
  if (terms.as_replica) arguments.emplace_back("--init-rpl-role=SLAVE");
  arguments.emplace_back(std::string("--rpl-semi-sync-slave-enabled=") + (terms.as_replica ? "ON" : "OFF"));
  if (::geteuid() == 0) arguments.emplace_back("--user=root");
  return arguments;
}

Arguments RedisArguments(const Layout& layout, const Programs& programs, const Component& redis) {
  return {programs.redis,
          "--port",
          std::to_string(redis.port),
          "--bind",
          "127.0.0.1",
          "--dir",
          layout.DirectoryOf(redis),
          "--save",
          "",
          "--appendonly",
          "no",
          "--maxmemory",
          "256mb",
          "--maxmemory-policy",
          "volatile-lru",
          "--loglevel",
          "warning"};
}

Arguments MusterArguments(const Layout& layout, const Programs& programs, const Component& server) {
  const std::string directory = layout.DirectoryOf(server);
  return {programs.muster, "serve", "--config", directory + "/muster.toml", "--data", directory + "/data"};
}

Arguments ArgumentsOf(const Layout& layout, const Programs& programs, const Component& component,
                      const StartTerms& terms) {
  switch (component.kind) {
    case Kind::kEtcd:
      return EtcdArguments(layout, programs, component);
    case Kind::kMariadb:
      return DatabaseArguments(layout, programs, component, terms);
    case Kind::kRedis:
      return RedisArguments(layout, programs, component);
    case Kind::kMuster:
      return MusterArguments(layout, programs, component);
  }
  MUSTER_UNREACHABLE("a kind of component without a command");
}

// libfaketime's: "+1.500000" is a second and a half ahead.
std::string FakeTimeOf(Duration offset) {
  const bool is_behind = offset < Duration(0);
  const std::int64_t micros = is_behind ? -offset.count() : offset.count();
  const std::string fraction = std::to_string(kMicrosPerSecond + micros % kMicrosPerSecond).substr(1);
  return (is_behind ? "-" : "+") + std::to_string(micros / kMicrosPerSecond) + "." + fraction;
}

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }  // names and paths without quotes

}  // namespace

std::vector<std::string> CleanEnvironment() {
  std::vector<std::string> kept;
  for (const char* const* variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!text.starts_with("MUSTER_") && !text.starts_with("LD_PRELOAD=") && !text.starts_with("FAKETIME")) {
      kept.emplace_back(text);
    }
  }
  return kept;
}

std::string FullDiskFlagOf(const Layout& layout, const Component& component) {
  return layout.DirectoryOf(component) + "/disk-is-full";
}

std::string FullDiskLibraryOf(const Layout& layout) { return layout.directory() + "/full-disk.so"; }

std::string DatabaseDataOf(const Layout& layout, const Component& database) {
  return layout.DirectoryOf(database) + "/data";
}

ProcessSpec ProcessOf(const Layout& layout, const Programs& programs, const Component& component,
                      const StartTerms& terms) {
  ProcessSpec spec{.command = ArgumentsOf(layout, programs, component, terms),
                   .environment = CleanEnvironment(),
                   .directory = layout.DirectoryOf(component),
                   .log = layout.LogOf(component)};
  std::string preloaded;
  if (component.kind == Kind::kMariadb) {
    preloaded = FullDiskLibraryOf(layout);
    spec.environment.push_back("MUSTER_LAB_DISK_IS_FULL=" + FullDiskFlagOf(layout, component));
  } else {
    spec.cannot_write = terms.has_full_disk;
  }
  if (terms.clock_offset != Duration(0)) {
    preloaded += (preloaded.empty() ? "" : ":") + programs.fake_time;
    spec.environment.push_back("FAKETIME=" + FakeTimeOf(terms.clock_offset));
    spec.environment.emplace_back("FAKETIME_DONT_FAKE_MONOTONIC=1");
    spec.environment.emplace_back("FAKETIME_DISABLE_SHM=1");  // it would be left when the process is killed
  }
  if (!preloaded.empty()) spec.environment.push_back("LD_PRELOAD=" + preloaded);
  return spec;
}

std::string MusterConfiguration(const Layout& layout, const Component& server) {
  std::string endpoints;
  // Its own center's first: that one is asked first.
  for (const bool is_near : {true, false}) {
    for (const Component* const voter : layout.All(Kind::kEtcd)) {
      if ((voter->center == server.center) != is_near) continue;
      if (!endpoints.empty()) endpoints += ", ";
      endpoints += Quoted("http://" + Layout::AddressFrom(server.center, *voter));
    }
  }
  std::string text = "# Written by `muster lab` at each start.\n";
  text += "[data]\nkeyring_file = " + Quoted(layout.SecretOf("keyring")) + "\n\n";
  text += "[http]\nlisten = " + Quoted(Layout::Address(server.port)) + "\nthreads = 1\n\n";
  text += "[grpc]\nlisten = " + Quoted(Layout::Address(server.grpc_port)) + "\nthreads = 1\n\n";
  text += "[admin]\nlisten = " + Quoted(Layout::Address(server.admin_port)) + "\n\n";
  text += "[center]\nname = " + Quoted(std::string(NameOf(server.center))) + "\n\n";
  text += "[topology]\nkind = \"etcd\"\n\n[topology.etcd]\nendpoints = [" + endpoints + "]\n\n";
  text += "[store]\nkind = \"mariadb\"\n\n[store.mariadb]\nuser = \"muster\"\npassword_file = " +
          Quoted(layout.SecretOf("store-password")) + "\ncontrol_user = \"muster_control\"\ncontrol_password_file = " +
          Quoted(layout.SecretOf("control-password")) +
          "\nreplica_password_file = " + Quoted(layout.SecretOf("replica-password")) + "\n";
  for (const Component* const redis : layout.All(Kind::kRedis)) {
    text += "\n[[cache.redis.centers]]\ncenter = " + Quoted(std::string(NameOf(redis->center))) + "\nendpoints = [" +
            Quoted(Layout::AddressFrom(server.center, *redis)) + "]\n";
  }
  return text;
}

Result<void> PrepareComponent(const Layout& layout, const Component& component) {
  const std::string directory = layout.DirectoryOf(component);
  MUSTER_TRY(MakeDirectory(directory));
  if (component.kind != Kind::kMuster) return {};
  return WriteLabFile(directory + "/muster.toml", MusterConfiguration(layout, component));
}

}  // namespace muster::lab
