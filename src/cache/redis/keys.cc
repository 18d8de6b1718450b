#include "cache/redis/keys.h"

#include <charconv>
#include <cstdint>

#include "base/encoding.h"

namespace muster::redis {
namespace {

std::string NameOf(const Subject& subject) {
  return subject.is_identity ? ToHex(subject.key.bytes) : std::to_string(subject.id.value());
}

}  // namespace

std::string Keys::Field(const Subject& subject) { return (subject.is_identity ? "i" : "m") + NameOf(subject); }

std::string Keys::Value(Epoch epoch, const Subject& subject) const {
  std::string key = prefix_;
  key.append(subject.is_identity ? ":i" : ":m").append(Tag(subject.shard())).append(":");
  return key.append(std::to_string(epoch.value())).append(":").append(NameOf(subject));
}

std::string Keys::Lease(Epoch epoch, const Subject& subject) const {
  std::string key = prefix_;
  key.append(":l").append(Tag(subject.shard())).append(":").append(std::to_string(epoch.value())).append(":");
  return key.append(Field(subject));
}

MemberId Keys::MemberOf(std::string_view key) {
  const std::size_t colon = key.rfind(':');
  std::int64_t id = 0;
  if (colon == std::string_view::npos) return {};
  const auto [end, error] = std::from_chars(key.data() + colon + 1, key.data() + key.size(), id);
  return error == std::errc() && end == key.data() + key.size() ? MemberId(id) : MemberId();
}

}  // namespace muster::redis
