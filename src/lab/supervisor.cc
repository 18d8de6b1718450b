#include "lab/supervisor.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_queue.h"
#include "base/option_text.h"
#include "base/thread_name.h"
#include "domain/json_writer.h"
#include "lab/assembly.h"
#include "lab/control.h"
#include "lab/fleet.h"
#include "lab/lab_actions.h"
#include "lab/lab_directory.h"
#include "lab/links.h"
#include "lab/proxy.h"
#include "lab/status_json.h"

namespace muster::lab {
namespace {

constexpr std::size_t kSettlesWaitingMax = 64;

std::vector<ProxyRoute> RoutesOf(const Layout& layout) {
  std::vector<ProxyRoute> routes;
  for (const Component& component : layout.components()) {
    const auto add = [&](std::uint16_t listen_port, std::uint16_t target_port) {
      if (listen_port == 0) return;
      routes.push_back(
          {.name = component.name, .listen_port = listen_port, .target_port = target_port, .center = component.center});
    };
    add(component.remote_port, component.port);
    add(component.remote_peer_port, component.peer_port);
  }
  return routes;
}

// Ports that components are told to listen on; those of the proxy are taken by it.
Result<void> CheckPorts(const Layout& layout) {
  for (const Component& component : layout.components()) {
    for (const std::uint16_t port : {component.port, component.peer_port, component.grpc_port, component.admin_port}) {
      if (port == 0 || IsFreePort(port)) continue;
      return Fail(Reason::kStateConflict, "port " + std::to_string(port) + ", which is " + component.name +
                                              "'s, is in use: end what uses it, or make the lab in another --dir");
    }
  }
  return {};
}

class LabSupervisor final : public Supervisor {
 public:
  LabSupervisor(SupervisorOptions options, SupervisorDependencies dependencies, Layout layout, Descriptor lock,
                Programs programs)
      : options_(std::move(options)),
        dependencies_(dependencies),
        lock_(std::move(lock)),
        layout_(std::move(layout)),
        programs_(std::move(programs)),
        keeper_(*dependencies.logger),
        topology_(layout_, *dependencies.clock, *dependencies.random),
        fleet_(layout_, programs_, keeper_, topology_),
        actions_(layout_, fleet_, links_),
        assembly_({.layout = &layout_,
                   .programs = &programs_,
                   .keeper = &keeper_,
                   .topology = &topology_,
                   .fleet = &fleet_,
                   .clock = dependencies.clock,
                   .is_over = &is_over_,
                   .tell = [this](std::string what) { Tell("assembling", std::move(what)); }}) {}

  ~LabSupervisor() override {
    control_.reset();  // no more requests
    is_over_ = true;
    settles_.Close();
    if (worker_.joinable()) {
      // What it waits for ends with the processes.
      fleet_.EndAll();
      EndRest();
      worker_.join();
    }
    fleet_.EndAll();  // what it had just begun
    proxy_.reset();
  }

  Result<void> Begin() {
    MUSTER_TRY(CheckPorts(layout_));
    MUSTER_TRY(EnsureSecrets(layout_, *dependencies_.random));
    MUSTER_ASSIGN(proxy_, Proxy::Start(RoutesOf(layout_),
                                       {.clock = dependencies_.clock,
                                        .logger = dependencies_.logger,
                                        .links = &links_,
                                        .locate = [this](std::uint16_t client_port, std::uint16_t server_port) {
                                          return FindConnector(client_port, server_port, Places());
                                        }}));
    worker_ = std::thread([this] { Work(); });
    NameThread(worker_, "lab-worker");
    MUSTER_ASSIGN(control_, ControlServer::Start(
                                options_.directory, [this](const ControlRequest& request) { return Handle(request); },
                                *dependencies_.logger));
    return {};
  }

  bool WantsToEnd() const override { return wants_to_end_; }

 private:
  // Programs that prepare something for components.
  void EndRest() {
    std::vector<std::string> names;
    for (const auto& [name, pid] : keeper_.Running()) {
      if (layout_.Find(name) == nullptr) names.push_back(name);
    }
    [[maybe_unused]] const Result<void> killed = keeper_.Kill(names);
  }

  std::vector<PlacedProcess> Places() const {
    std::vector<PlacedProcess> places;
    for (const auto& [name, pid] : keeper_.Running()) {
      if (const Component* const component = layout_.Find(name)) {
        places.push_back({.pid = pid, .center = component->center});
      }
    }
    return places;
  }

  void Tell(std::string_view state, std::string doing) {
    dependencies_.logger->Info("assembly", {{"state", state}, {"doing", doing}});
    std::lock_guard lock(mutex_);
    state_ = state;
    doing_ = std::move(doing);
  }

  void Work() {
    const Result<void> assembled = assembly_.Run(options_.engines_only);
    if (!assembled) return Tell("failed", assembled.error().message);
    Tell("ready", "");
    for (;;) {
      const std::vector<const Component*> databases = settles_.PopSome(1);
      if (databases.empty()) return;
      Result<void> settled = assembly_.Await(databases);
      if (settled) settled = topology_.Settle(databases.front()->group);
      if (!settled) {
        dependencies_.logger->Warning("a group is not as the topology says",
                                      {{"after", databases.front()->name}, {"why", settled.error().message}});
      }
    }
  }

  Result<std::string> Handle(const ControlRequest& request) {
    if (request.verb == "progress") return Progress();
    if (request.verb == "status") return RenderStatus(layout_, fleet_.Look(), links_.Read());
    if (request.verb == "down") {
      wants_to_end_ = true;
      return "{}";
    }
    {
      std::lock_guard lock(mutex_);
      if (state_ == "assembling") {
        return Fail(Reason::kStateConflict, "the lab is still coming up (" + doing_ + "); try again when it is there");
      }
    }
    MUSTER_ASSIGN(const Fleet::Chosen started, actions_.Do(request));
    SettleLater(started);
    return "{}";
  }

  // With muster servers the failover controller does that.
  void SettleLater(const Fleet::Chosen& started) {
    if (!options_.engines_only) return;
    for (const Component* component : started) {
      if (component->kind != Kind::kMariadb) continue;
      const Component* settled = component;
      [[maybe_unused]] const bool is_queued =
          settles_.TryPush(std::move(settled));  // NOLINT(performance-move-const-arg)
    }
  }

  std::string Progress() const {
    std::lock_guard lock(mutex_);
    std::string text;
    JsonWriter json(text);
    json.BeginObject();
    json.Key("state").String(state_);
    json.Key("doing").String(doing_);
    json.EndObject();
    return text;
  }

  const SupervisorOptions options_;
  const SupervisorDependencies dependencies_;
  const Descriptor lock_;
  const Layout layout_;
  const Programs programs_;
  std::atomic<bool> is_over_{false};
  std::atomic<bool> wants_to_end_{false};
  mutable std::mutex mutex_;
  std::string state_ = "assembling";  // guarded by mutex_
  std::string doing_ = "beginning";   // guarded by mutex_
  Links links_;
  ProcessKeeper keeper_;
  const LabTopology topology_;
  Fleet fleet_;
  LabActions actions_;
  Assembly assembly_;
  BoundedQueue<const Component*> settles_{kSettlesWaitingMax};
  std::unique_ptr<Proxy> proxy_;
  std::thread worker_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::Start(SupervisorOptions options, SupervisorDependencies dependencies) {
  MUSTER_ASSIGN(Programs programs, FindPrograms());
  MUSTER_ASSIGN(Layout layout, EnsureLayout(options.directory, options.groups, *dependencies.random));
  MUSTER_ASSIGN(Descriptor lock, LockDirectory(options.directory));
  auto supervisor = std::make_unique<LabSupervisor>(std::move(options), dependencies, std::move(layout),
                                                    std::move(lock), std::move(programs));
  MUSTER_TRY(supervisor->Begin());
  return supervisor;
}

}  // namespace muster::lab
