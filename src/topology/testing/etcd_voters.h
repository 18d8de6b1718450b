#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "topology/topology_etcd.h"

// What tests of the topology on etcd share. Where no etcd is installed all of them are skipped.
namespace muster::testing {

// Within half a minute, looking again and again.
bool WaitUntil(const std::function<bool()>& done);

// Voters of one etcd, each a process of its own with ports of 127.0.0.1. They and their data end with this object.
class EtcdVoters {
 public:
  explicit EtcdVoters(int count, std::vector<std::string> arguments = {}, std::string scheme = "http");
  ~EtcdVoters();
  EtcdVoters(const EtcdVoters&) = delete;

  void Kill(int voter);    // kill -9, and waits for its end
  void Freeze(int voter);  // SIGSTOP, and waits until it stands still
  void Thaw(int voter);
  void Start(int voter);  // again, on its data
  // Until a read through each that runs is answered; false: none was for half a minute.
  bool WaitUntilServing();

  std::string endpoint(int voter) const;
  std::vector<std::string> endpoints() const;
  std::string peer_url(int voter) const;  // where voters talk to each other: no gateway answers there
  std::string data_directory(int voter) const;
  // One call of the gateway; the answer's body, whatever the status; empty: no answer within two seconds.
  std::string Call(int voter, const std::string& path, const std::string& body) const;
  void Put(int voter, const std::string& key, const std::string& value) const;  // by hand
  std::string Get(int voter, const std::string& key) const;

 private:
  struct Voter {
    std::uint16_t client_port = 0;
    std::uint16_t peer_port = 0;
    pid_t process = 0;  // 0: none
    bool is_frozen = false;
  };

  std::string directory_;
  const std::vector<std::string> arguments_;
  const std::string scheme_;
  std::vector<Voter> voters_;
};

// One voter, and three, for all tests that leave them as they found them.
EtcdVoters& SharedVoter();
EtcdVoters& SharedVoters();

// With keys of its own.
EtcdOptions OptionsFor(std::vector<std::string> endpoints);
std::unique_ptr<EtcdTopologyStore> OpenEtcd(const EtcdOptions& options);

}  // namespace muster::testing
