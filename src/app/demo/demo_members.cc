#include "app/demo/demo_members.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/task.h"

namespace muster {
namespace {

constexpr std::uint64_t kUnderWayMax = 4096;
constexpr std::uint64_t kReportEvery = 1000;

// Registrations that have begun, as their answers see them.
struct Registrations {
  std::mutex mutex;
  std::condition_variable answered;
  std::uint64_t under_way = 0;
  std::optional<Error> error;
  std::vector<MemberId> ids;

  void Answer(std::uint64_t index, Result<Member> member) {
    // Notified under the lock: whoever waits for the last answer destroys this.
    std::lock_guard lock(mutex);
    --under_way;
    if (member) {
      ids[index] = member->id;
    } else if (!error) {
      error = std::move(member).error();
    }
    answered.notify_one();
  }
};

}  // namespace

Outcome<std::vector<MemberId>> RegisterSyntheticMembers(MemberDirectory& directory, const SyntheticMembers& synthetic,
                                                        std::uint64_t count,
                                                        const std::function<bool(std::uint64_t done)>& go_on) {
  KeyedHash hash(directory.keyring().hash_key());
  Registrations registrations;
  registrations.ids.resize(count);
  std::uint64_t begun = 0;
  for (; begun < count; ++begun) {
    if (begun % kReportEvery == 0 && !go_on(begun)) break;
    Member member = synthetic.Make(begun, hash);
    {
      std::unique_lock lock(registrations.mutex);
      registrations.answered.wait(lock, [&] { return registrations.under_way < kUnderWayMax; });
      if (registrations.error) break;
      ++registrations.under_way;
    }
    Spawn(directory.writer().Register(std::move(member), false, {.caller = "demo", .request_id = "demo"}),
          [&registrations, begun](Result<Member> answer) { registrations.Answer(begun, std::move(answer)); });
  }
  std::unique_lock lock(registrations.mutex);
  registrations.answered.wait(lock, [&] { return registrations.under_way == 0; });
  if (registrations.error) return Fails(*registrations.error);
  registrations.ids.resize(begun);
  return std::move(registrations.ids);
}

}  // namespace muster
