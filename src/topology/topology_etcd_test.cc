#include "topology/topology_etcd.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "topology/testing/etcd_voters.h"
#include "topology/testing/faulty_proxy.h"
#include "topology/topology_store_contract.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::EtcdVoters;
using testing::FaultyProxy;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::OpenEtcd;
using testing::OptionsFor;
using testing::SharedVoter;
using testing::SharedVoters;

template <EtcdVoters& (*voters)()>
class EtcdFactory {
 public:
  TopologyStore& store() { return *store_; }
  TopologyStore& other() { return *other_; }

 private:
  const EtcdOptions options_ = OptionsFor(voters().endpoints());
  const std::unique_ptr<TopologyStore> store_ = OpenEtcd(options_);
  const std::unique_ptr<TopologyStore> other_ = OpenEtcd(options_);
};
INSTANTIATE_TYPED_TEST_SUITE_P(OneVoter, TopologyStoreContract, EtcdFactory<SharedVoter>);
INSTANTIATE_TYPED_TEST_SUITE_P(ThreeVoters, TopologyStoreContract, EtcdFactory<SharedVoters>);

Result<void> RaiseEpoch(TopologyDocument& document) {
  document.epoch = Epoch(document.epoch.value() + 1);
  return {};
}

std::string ErrorOf(const EtcdOptions& options) {
  static const SystemClock clock;
  static SystemRandom random;
  const auto opened = OpenTopologyEtcd(options, {.clock = &clock, .random = &random});
  return opened ? "opened" : std::string(opened.error().code()) + ": " + opened.error().message;
}

// A port on which somebody listens who never answers.
class SilentEndpoint {
 public:
  SilentEndpoint() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::listen(listener_, SOMAXCONN), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  SilentEndpoint(const SilentEndpoint&) = delete;
  ~SilentEndpoint() { Close(); }
  void Close() {
    if (listener_ >= 0) ::close(std::exchange(listener_, -1));
  }
  const std::string& url() const { return url_; }

 private:
  int listener_;
  std::string url_;
};

// As a failover does: whoever raised the epoch has won it, so no two may believe so.
TEST(EtcdTopology, RacingClientsLoseNothingAndWinNoEpochTwice) {
  constexpr int kClients = 3;
  constexpr int kThreads = 2;
  constexpr int kUpdates = 10;
  const EtcdOptions options = OptionsFor(SharedVoters().endpoints());
  std::mutex mutex;
  std::multiset<std::int64_t> won;
  {
    std::vector<std::unique_ptr<EtcdTopologyStore>> clients;
    for (int i = 0; i < kClients; ++i) clients.push_back(OpenEtcd(options));
    std::vector<std::jthread> threads;
    for (int i = 0; i < kClients * kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int j = 0; j < kUpdates; ++j) {
          const auto updated = clients[i % kClients]->Update(RaiseEpoch);
          ASSERT_TRUE(updated) << updated.error().message;
          std::lock_guard lock(mutex);
          won.insert((*updated)->epoch.value());
        }
      });
    }
  }
  constexpr int kAll = kClients * kThreads * kUpdates;
  EXPECT_EQ(won.size(), kAll);
  EXPECT_EQ(std::set(won.begin(), won.end()).size(), kAll);
  const auto read = OpenEtcd(options)->Read();
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->revision, kAll);
  EXPECT_EQ((*read)->epoch, Epoch(kAll + 1));
}

TEST(EtcdTopology, AnEndpointThatIsDeadOrSilentIsPassedOver) {
  SilentEndpoint silent;
  SilentEndpoint dead;
  dead.Close();
  EtcdOptions options = OptionsFor({dead.url(), silent.url(), SharedVoter().endpoint(0)});
  options.attempt_timeout_ms = 200;
  const auto store = OpenEtcd(options);
  const auto updated = store->Update(RaiseEpoch);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 1);
}

TEST(EtcdTopology, AnUpdateGoesOnBehindAnEndpointThatWentSilent) {
  FaultyProxy proxy(SharedVoter().endpoint(0));
  const auto store = OpenEtcd(OptionsFor({proxy.endpoint(), SharedVoter().endpoint(0)}));
  proxy.Set(FaultyProxy::Fault::kCutOff);
  const auto updated = store->Update(RaiseEpoch);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 1);
}

TEST(EtcdTopology, SaysWhatToDoWhenNobodyListens) {
  SilentEndpoint dead;
  dead.Close();
  EtcdOptions options = OptionsFor({dead.url()});
  options.timeout_ms = 400;
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("STALE: etcd did not answer: " + dead.url()),
                                      HasSubstr("is etcd running, and are these its addresses?")));
}

TEST(EtcdTopology, SaysWhatToDoWhenWhatAnswersIsNotEtcd) {
  EtcdOptions options = OptionsFor({SharedVoter().peer_url(0)});
  options.timeout_ms = 400;
  EXPECT_THAT(ErrorOf(options), HasSubstr("STALE: etcd did not answer: " + SharedVoter().peer_url(0) +
                                          ": answers 404 and not as etcd's JSON gateway does"));
}

TEST(EtcdTopology, RefusesOptionsThatDoNotFit) {
  EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  options.prefix = "";
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: prefix"));
  options = OptionsFor({SharedVoter().endpoint(0) + "/"});
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: endpoints[0]"));
  options = OptionsFor({});
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: endpoints"));
  options = OptionsFor(SharedVoter().endpoints());
  options.user = "muster";
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: password_file"));
  options = OptionsFor(SharedVoter().endpoints());
  options.key_file = "key.pem";
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: key_file"));
  options = OptionsFor(SharedVoter().endpoints());
  options.attempt_timeout_ms = 0;
  EXPECT_THAT(ErrorOf(options), HasSubstr("INVALID_ARGUMENT: timeout_ms"));
}

TEST(EtcdTopology, AMalformedDocumentIsRefusedAndLeftAlone) {
  const EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  const std::string key = options.prefix + "topology";
  const auto store = OpenEtcd(options);
  ASSERT_TRUE(store->Update(RaiseEpoch));
  const std::string text = "{\"format\":1,\n \"revision\":7,\"epoch\":\"1\",\"callers\":[]}";
  SharedVoter().Put(0, key, text);
  const std::string complaint = "etcd's key \"" + key + "\":2:13: \"revision\" must be a string";
  EXPECT_THAT(ErrorOf(options), HasSubstr("INTERNAL: " + complaint));
  EXPECT_THAT(store->Read().error().message, HasSubstr(complaint));
  EXPECT_THAT(store->Update(RaiseEpoch).error().message, HasSubstr(complaint));
  EXPECT_EQ(SharedVoter().Get(0, key), text);
}

TEST(EtcdTopology, TakesAMebibyteAndSaysSoBeyond) {
  EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  options.timeout_ms = 10'000;
  const auto store = OpenEtcd(options);
  const auto grow_by = [&](std::size_t bytes) {
    return store->Update([bytes](TopologyDocument& document) -> Result<void> {
      document.callers.push_back({.name = "c" + std::to_string(document.callers.size()),
                                  .purpose = std::string(bytes, 'x'),
                                  .create_time = Timestamp(std::chrono::seconds(1))});
      return {};
    });
  };
  const auto signal = store->MakeSignal();
  EXPECT_TRUE(signal->Wait(std::chrono::seconds(10)));
  const auto large = grow_by((1 << 20) - 1000);
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_TRUE(signal->Wait(std::chrono::seconds(10)));
  EXPECT_EQ((*store->Read())->callers.size(), 1U);
  const auto refused = grow_by(1000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kLimitExceeded);
  EXPECT_EQ((*store->Read())->callers.size(), 1U);
}

TEST(EtcdTopology, ANewerFormatIsRefusedAndLeftAlone) {
  const EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  const std::string text = "{\"format\":99,\"lanes\":[]}";
  SharedVoter().Put(0, options.prefix + "topology", text);
  EXPECT_THAT(ErrorOf(options), HasSubstr("it was written by a newer one; run that"));
  EXPECT_EQ(SharedVoter().Get(0, options.prefix + "topology"), text);
}

TEST(EtcdTopology, WhatIsPutByHandIsBuiltOn) {
  const EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  const auto store = OpenEtcd(options);
  SharedVoter().Put(0, options.prefix + "topology",
                    R"({"format":3,"revision":"41","epoch":"5","centers":["a"],"writer":"a","callers":[]})");
  const auto updated = store->Update(RaiseEpoch);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 42);
  EXPECT_EQ((*updated)->writer, "a");
}

class EtcdTopologyLosing : public ::testing::Test {
 protected:
  ~EtcdTopologyLosing() override { proxy_.Stop(); }  // its threads use the stores

  // An update whose first attempt goes wrong at the proxy, after which `then` happens.
  Result<std::shared_ptr<const TopologyDocument>> UpdateWith(FaultyProxy::Fault fault, int updates_of_others) {
    proxy_.OnLoss([this, updates_of_others] {
      proxy_.Set(FaultyProxy::Fault::kNone);
      for (int i = 0; i < updates_of_others; ++i) EXPECT_TRUE(other_->Update(RaiseEpoch));
    });
    proxy_.Set(fault);
    return store_->Update(RaiseEpoch);
  }

  FaultyProxy proxy_{SharedVoter().endpoint(0)};
  const EtcdOptions direct_ = OptionsFor(SharedVoter().endpoints());
  const EtcdOptions options_ = [this] {
    EtcdOptions options = direct_;
    options.endpoints = {proxy_.endpoint(), SharedVoter().endpoint(0)};
    return options;
  }();
  const std::unique_ptr<EtcdTopologyStore> store_ = OpenEtcd(options_);
  const std::unique_ptr<EtcdTopologyStore> other_ = OpenEtcd(direct_);
};

TEST_F(EtcdTopologyLosing, AnUpdateKnowsItselfWhenItsAnswerWasLost) {
  const auto updated = UpdateWith(FaultyProxy::Fault::kLoseAnswer, 0);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 1);
  EXPECT_EQ((*other_->Read())->epoch, Epoch(2)) << "once, not twice";
}

TEST_F(EtcdTopologyLosing, AnUpdateThatSomebodyHasBuiltOnIsOfUnknownOutcome) {
  const auto updated = UpdateWith(FaultyProxy::Fault::kLoseAnswer, 1);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().reason, Reason::kOutcomeUnknown);
  EXPECT_EQ((*other_->Read())->epoch, Epoch(3));
}

TEST_F(EtcdTopologyLosing, AnUpdateWithoutAnyAnswerIsOfUnknownOutcomeInTime) {
  EtcdOptions options = options_;
  options.endpoints = {proxy_.endpoint()};
  options.timeout_ms = 300;
  const auto store = OpenEtcd(options);
  proxy_.Set(FaultyProxy::Fault::kLoseAnswer);
  const auto began = std::chrono::steady_clock::now();
  const auto updated = store->Update(RaiseEpoch);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().reason, Reason::kOutcomeUnknown);
  EXPECT_THAT(updated.error().message, HasSubstr("may or may not have made the change: " + proxy_.endpoint()));
  EXPECT_EQ((*other_->Read())->epoch, Epoch(2)) << "it was made, once";
}

TEST_F(EtcdTopologyLosing, AnUpdateThatNeverArrivedIsMadeAfterThatOfAnother) {
  const auto updated = UpdateWith(FaultyProxy::Fault::kLoseRequest, 1);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 2);
  EXPECT_EQ((*updated)->epoch, Epoch(3));
}

TEST(EtcdTopologySecured, WantsACertificateThatItTrusts) {
  EtcdVoters voter(1, {"--auto-tls"}, "https");
  EtcdOptions options = OptionsFor(voter.endpoints());
  options.timeout_ms = 10'000;
  options.ca_file = voter.data_directory(0) + "/fixtures/client/cert.pem";
  ASSERT_TRUE(testing::WaitUntil([&] { return std::ifstream(options.ca_file).good(); }));
  std::string error;
  EXPECT_TRUE(testing::WaitUntil([&] { return (error = ErrorOf(options)) == "opened"; })) << error;
  options.ca_file.clear();
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("INTERNAL: etcd refuses: "), HasSubstr("certificate")));
  options = OptionsFor({"http" + voter.endpoint(0).substr(5)});
  options.timeout_ms = 400;
  EXPECT_THAT(ErrorOf(options), HasSubstr("an address that wants https ends like this"));
}

TEST(EtcdTopologySecured, WantsAnAccountThatMay) {
  EtcdVoters voter(1);
  const EtcdOptions nobody = OptionsFor(voter.endpoints());
  const std::string password_file = voter.data_directory(0) + ".password";
  std::ofstream(password_file) << "secret\nnot this\n";
  const auto call = [&](const std::string& path, const std::string& body) {
    EXPECT_THAT(voter.Call(0, "/v3/auth/" + path, body), HasSubstr("\"header\"")) << path;
  };
  for (const std::string user : {"root", "muster"}) {
    call("user/add", R"({"name":")" + user + R"(","password":"secret"})");
    call("role/add", R"({"name":")" + user + "\"}");
    call("user/grant", R"({"user":")" + user + R"(","role":")" + user + "\"}");
  }
  // All that begins with "mine/".
  call("role/grant", R"({"name":"muster","perm":{"permType":"READWRITE","key":"bWluZS8=","range_end":"bWluZTA="}})");
  call("enable", "{}");

  EtcdOptions options = nobody;
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("INTERNAL: etcd refuses"), HasSubstr("check etcd's account")));
  options.user = "muster";
  options.password_file = password_file + ".none";
  EXPECT_THAT(ErrorOf(options), HasSubstr("cannot read a password from"));
  options.password_file = password_file;
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("permission denied"), HasSubstr("what begins with it")));
  options.prefix = "mine/";
  const auto store = OpenEtcd(options);
  ASSERT_TRUE(store->Update(RaiseEpoch));
  std::ofstream(password_file) << "wrong\n";
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("authentication failed"), Not(HasSubstr("wrong"))));
  // Tokens are forgotten with the process that gave them.
  std::ofstream(password_file) << "secret\n";
  voter.Kill(0);
  voter.Start(0);
  const auto later = [&] { return store->Update(RaiseEpoch).has_value(); };
  EXPECT_TRUE(testing::WaitUntil(later));
}

}  // namespace
}  // namespace muster
