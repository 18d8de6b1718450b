#include "lab/fleet.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include "lab/lab_directory.h"

namespace muster::lab {
namespace {

constexpr std::chrono::seconds kServerEndPatience{10}, kEngineEndPatience{10};

}  // namespace

std::vector<std::string> Fleet::NamesOf(const Chosen& chosen) {
  std::vector<std::string> names;
  for (const Component* const component : chosen) names.push_back(component->name);
  return names;
}

Result<StartTerms> Fleet::TermsOf(const Component& component, bool is_topology_made) {
  StartTerms terms;
  if (component.kind == Kind::kMariadb && is_topology_made) {
    MUSTER_ASSIGN(const failover::StartRole role, topology_.StartRoleOf(component));
    terms.as_replica = role == failover::StartRole::kAsReplica;
  }
  std::lock_guard lock(mutex_);
  const ComponentCondition& condition = conditions_[component.name];
  terms.clock_offset = condition.clock_offset;
  terms.has_full_disk = condition.has_full_disk;
  return terms;
}

Result<void> Fleet::Start(const Chosen& chosen, bool is_topology_made) {
  for (const Component* const component : chosen) {
    if (keeper_.LookAt(component->name).pid != 0) continue;
    MUSTER_ASSIGN(const StartTerms terms, TermsOf(*component, is_topology_made));
    MUSTER_TRY(PrepareComponent(layout_, *component));
    const auto started = keeper_.Start(component->name, ProcessOf(layout_, programs_, *component, terms));
    if (!started && started.error().reason != Reason::kStateConflict) return Fail(started.error());
  }
  return {};
}

Result<void> Fleet::Kill(const Chosen& chosen) { return keeper_.Kill(NamesOf(chosen)); }

Result<void> Fleet::Freeze(const Chosen& chosen) { return keeper_.Freeze(NamesOf(chosen)); }

void Fleet::Thaw(const Chosen& chosen) {
  for (const Component* const component : chosen) keeper_.Thaw(component->name);
}

Result<void> Fleet::Fill(const Component& component) {
  if (component.kind == Kind::kRedis) {
    return Fail(Reason::kInvalidArgument,
                component.name + " keeps nothing on disk here, so a full one changes nothing");
  }
  std::lock_guard lock(mutex_);
  if (component.kind == Kind::kMariadb) {
    MUSTER_TRY(WriteLabFile(FullDiskFlagOf(layout_, component), ""));
  } else {
    keeper_.SetCannotWrite(component.name, true);
  }
  conditions_[component.name].has_full_disk = true;
  return {};
}

Result<void> Fleet::Empty(const Component& component) {
  std::lock_guard lock(mutex_);
  std::error_code ignored;  // it is not there
  std::filesystem::remove(FullDiskFlagOf(layout_, component), ignored);
  if (component.kind != Kind::kMariadb) keeper_.SetCannotWrite(component.name, false);
  conditions_[component.name].has_full_disk = false;
  return {};
}

Result<void> Fleet::SetClock(const Component& component, Duration offset) {
  if (component.kind == Kind::kEtcd) {
    return Fail(Reason::kInvalidArgument,
                component.name + " has no clock of its own here: etcd's program asks the kernel directly");
  }
  if (component.kind == Kind::kRedis) {
    return Fail(Reason::kInvalidArgument,
                component.name +
                    " has no clock of its own here: its allocator asks for the time before libfaketime "
                    "can answer, and it does not start");
  }
  if (programs_.fake_time.empty()) {
    return Fail(Reason::kNotFound,
                "clocks are moved by libfaketime, which is not installed: run `make engines`, or as "
                "root `apt-get install libfaketime`, and start the lab again");
  }
  {
    std::lock_guard lock(mutex_);
    conditions_[component.name].clock_offset = offset;
  }
  TerminateAndWait({&component}, kEngineEndPatience);
  return Start({&component}, true);
}

Fleet::Chosen Fleet::Known(const Chosen& chosen) {
  std::lock_guard lock(mutex_);
  Chosen known = chosen;
  std::erase_if(known, [this](const Component* component) { return !conditions_.contains(component->name); });
  return known;
}

std::vector<ComponentStatus> Fleet::Look() {
  std::lock_guard one_at_a_time(looking_);
  std::vector<ComponentStatus> all;
  {
    std::lock_guard lock(mutex_);
    for (const Component& component : layout_.components()) {
      if (const auto found = conditions_.find(component.name); found != conditions_.end()) {
        all.push_back({.component = &component, .process = {}, .answer = {}, .condition = found->second});
      }
    }
  }
  const std::string control_password = ReadSecret(layout_, "control-password").value_or("");
  std::vector<std::jthread> askers;
  for (ComponentStatus& status : all) {
    status.process = keeper_.LookAt(status.component->name);
    if (status.process.pid == 0 || status.process.is_frozen) continue;
    askers.emplace_back([&status, &control_password] { status.answer = Ask(*status.component, control_password); });
  }
  askers.clear();  // joins them
  return all;
}

void Fleet::TerminateAndWait(const Chosen& chosen, Duration patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::vector<std::string> late;
  for (const Component* const component : chosen) {
    if (keeper_.LookAt(component->name).is_frozen) {
      late.push_back(component->name);
    } else {
      keeper_.Terminate(component->name);
    }
  }
  for (const Component* const component : chosen) {
    if (keeper_.LookAt(component->name).is_frozen) continue;
    const auto left = std::chrono::duration_cast<Duration>(until - std::chrono::steady_clock::now());
    if (!keeper_.WaitForEnd(component->name, std::max(left, Duration(0)))) late.push_back(component->name);
  }
  [[maybe_unused]] const Result<void> killed = keeper_.Kill(late);  // what this leaves the keeper ends
}

void Fleet::EndAll() {
  Chosen engines = layout_.All(Kind::kMariadb);
  std::ranges::copy(layout_.All(Kind::kRedis), std::back_inserter(engines));
  TerminateAndWait(layout_.All(Kind::kMuster), kServerEndPatience);
  TerminateAndWait(engines, kEngineEndPatience);
  // A voter that is asked to end looks for another leader first, for seconds, and its log is made for this.
  [[maybe_unused]] const Result<void> killed = Kill(layout_.All(Kind::kEtcd));
}

}  // namespace muster::lab
