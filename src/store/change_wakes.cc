#include "store/change_wakes.h"

#include <iterator>
#include <string>
#include <utility>

namespace muster {

class ChangeWakes::Registration final : public ChangeFeed::Subscription {
 public:
  Registration(ChangeWakes& all, Wakes::iterator place) : all_(all), place_(place) {}
  ~Registration() override {
    std::lock_guard lock(all_.mutex_);
    all_.wakes_.erase(place_);
    all_.count_.store(all_.wakes_.size());
  }

 private:
  ChangeWakes& all_;
  const Wakes::iterator place_;
};

void ChangeWakes::Notify() {
  if (!any()) return;
  std::lock_guard lock(mutex_);
  for (auto& wake : wakes_) wake();
}

std::unique_ptr<ChangeFeed::Subscription> ChangeWakes::Subscribe(std::move_only_function<void()> wake) {
  std::lock_guard lock(mutex_);
  wakes_.push_back(std::move(wake));
  count_.store(wakes_.size());
  return std::make_unique<Registration>(*this, std::prev(wakes_.end()));
}

std::unexpected<Error> FailExpired(std::int64_t after) {
  return Fail(Reason::kPositionExpired, "changes after position " + std::to_string(after) +
                                            " are not kept any more: begin with \"latest\", and then read anew "
                                            "what you keep (an export has all)");
}

}  // namespace muster
