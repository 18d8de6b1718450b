#include "lab/lab_actions.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/option_text.h"

namespace muster::lab {
namespace {

using Words = std::initializer_list<std::string_view>;

constexpr std::chrono::hours kClockOffsetMax{24 * 365};
constexpr std::int64_t kRateMin = 1'000;

bool IsOneOf(std::string_view word, Words words) { return std::ranges::find(words, word) != words.end(); }

Result<void> Demand(const ControlRequest& request, std::size_t count, std::string_view what) {
  if (request.arguments.size() == count) return {};
  return Fail(Reason::kInvalidArgument, request.verb + " takes " + std::string(what));
}

void CutLink(LinkCondition& link) { link.is_cut = true; }

}  // namespace

Result<Duration> ParseClockOffset(std::string_view text) {
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  const auto milliseconds = ParseMilliseconds(text.substr(has_sign ? 1 : 0));
  if (!milliseconds || std::chrono::milliseconds(*milliseconds) > kClockOffsetMax) {
    return Fail(Reason::kInvalidArgument, "an offset is a time with a sign, as in +5s or -200ms, and at most a year");
  }
  return std::chrono::milliseconds(text.starts_with('-') ? -*milliseconds : *milliseconds);
}

Result<Fleet::Chosen> LabActions::Do(const ControlRequest& request) {
  if (IsOneOf(request.verb, {"kill", "start", "freeze", "thaw"})) return ActOnTarget(request);
  if (IsOneOf(request.verb, {"fill", "empty", "clock"})) return ActOnComponent(request);
  if (request.verb == "heal" && request.arguments.empty()) {
    links_.HealAll();
    return Fleet::Chosen();
  }
  MUSTER_TRY(ActOnLink(request));
  return Fleet::Chosen();
}

Result<Fleet::Chosen> LabActions::ActOnTarget(const ControlRequest& request) {
  MUSTER_TRY(Demand(request, 1, "a component's name, or center:A"));
  MUSTER_ASSIGN(Fleet::Chosen chosen, layout_.Resolve(request.arguments[0]));
  const bool is_one = chosen.size() == 1;
  // Of a center what was never started, as muster servers with --engines-only, stays so.
  Fleet::Chosen known = fleet_.Known(chosen);
  if (known.empty()) {
    return Fail(Reason::kStateConflict, request.arguments[0] + " is not part of this lab, which has engines only");
  }
  if (request.verb == "start") {
    MUSTER_TRY(fleet_.Start(known, true));
    return known;
  }
  if (request.verb == "kill") {
    MUSTER_TRY(fleet_.Kill(known));
  } else if (request.verb == "freeze") {
    if (is_one && !fleet_.IsRunning(*known.front())) {
      return Fail(Reason::kStateConflict,
                  known.front()->name + " does not run; start it with `muster lab start " + known.front()->name + "`");
    }
    MUSTER_TRY(fleet_.Freeze(known));
  } else {
    fleet_.Thaw(known);
  }
  return Fleet::Chosen();
}

Result<Fleet::Chosen> LabActions::ActOnComponent(const ControlRequest& request) {
  const bool is_clock = request.verb == "clock";
  MUSTER_TRY(Demand(request, is_clock ? 2 : 1, is_clock ? "a component's name and an offset" : "a component's name"));
  MUSTER_ASSIGN(Fleet::Chosen chosen, layout_.Resolve(request.arguments[0]));
  if (chosen.size() != 1) return Fail(Reason::kInvalidArgument, request.verb + " takes one component by its name");
  const Component& component = *chosen.front();
  if (fleet_.Known(chosen).empty()) {
    return Fail(Reason::kStateConflict, component.name + " is not part of this lab, which has engines only");
  }
  if (request.verb == "fill") {
    MUSTER_TRY(fleet_.Fill(component));
    return Fleet::Chosen();
  }
  if (request.verb == "empty") {
    MUSTER_TRY(fleet_.Empty(component));
    return Fleet::Chosen();
  }
  MUSTER_ASSIGN(const Duration offset, ParseClockOffset(request.arguments[1]));
  MUSTER_TRY(fleet_.SetClock(component, offset));
  return chosen;
}

Result<void> LabActions::ActOnLink(const ControlRequest& request) {
  const std::string& verb = request.verb;
  const bool has_amount = verb == "delay" || verb == "throttle";
  if (!has_amount && !IsOneOf(verb, {"partition", "loss", "heal"})) {
    return Fail(Reason::kInvalidArgument, "a lab has no verb '" + verb + "'; is it of another version of muster?");
  }
  MUSTER_TRY(Demand(request, has_amount ? 3 : 2, has_amount ? "two centers and how much" : "two centers"));
  MUSTER_ASSIGN(const Center one, ParseCenter(request.arguments[0]));
  MUSTER_ASSIGN(const Center other, ParseCenter(request.arguments[1]));
  if (one == other) return Fail(Reason::kInvalidArgument, "a link lies between two centers, as in A B");
  const auto change_both = [&](const std::function<void(LinkCondition&)>& change) {
    links_.Change(one, other, change);
    links_.Change(other, one, change);
  };
  if (verb == "heal") {
    links_.Heal(one, other);
  } else if (verb == "partition") {
    change_both(CutLink);
  } else if (verb == "loss") {
    links_.Change(one, other, CutLink);
  } else if (verb == "delay") {
    const auto milliseconds = ParseMilliseconds(request.arguments[2]);
    if (!milliseconds || std::chrono::milliseconds(*milliseconds) > Links::kDelayMax) {
      return Fail(Reason::kInvalidArgument, "a delay is a time, as in 2ms, and at most 10s");
    }
    change_both([&](LinkCondition& link) { link.delay = std::chrono::milliseconds(*milliseconds); });
  } else {
    const auto rate = ParseBytes(request.arguments[2]);
    if (!rate || (*rate != 0 && *rate < kRateMin)) {
      return Fail(Reason::kInvalidArgument, "a rate is bytes a second, as in 64KiB, and at least 1000; 0 is no bound");
    }
    change_both([&](LinkCondition& link) { link.bytes_per_second = *rate; });
  }
  return {};
}

}  // namespace muster::lab
