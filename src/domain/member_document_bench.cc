#include <benchmark/benchmark.h>
#include <google/protobuf/util/json_util.h>

#include <string>
#include <vector>

#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/member_document.h"
#include "domain/member_protobuf.h"
#include "domain/synthetic_members.h"
#include "muster/v1/member.pb.h"

// The floor: MemberToJson at least 25 times as fast as MessageToJson, protobuf's own JSON of the same members in the
// same run.
namespace muster {
namespace {

constexpr std::uint64_t kMembers = 64;

std::vector<Member> Members() {
  KeyedHash hash{SecretKey{}};
  std::vector<Member> members;
  for (std::uint64_t index = 0; index < kMembers; ++index) {
    members.push_back(SyntheticMembers(1).Make(index, hash));
    members.back().id = MemberId(1'834'000'000'000'000'000 + static_cast<std::int64_t>(index));
  }
  return members;
}

void MemberToJson(benchmark::State& state) {
  const std::vector<Member> members = Members();
  std::size_t next = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    const MemberDocumentRef document = MakeMemberDocument(members[next++ % kMembers]);
    bytes += document->json().size();
    benchmark::DoNotOptimize(document.get());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(MemberToJson);

void MessageToJson(benchmark::State& state) {
  std::vector<v1::Member> messages(kMembers);
  const std::vector<Member> members = Members();
  for (std::size_t i = 0; i < kMembers; ++i) {
    const std::string json(MakeMemberDocument(members[i])->json());
    if (!google::protobuf::util::JsonStringToMessage(json, &messages[i]).ok())
      state.SkipWithError("not the message's JSON");
  }
  std::size_t next = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    std::string json;
    benchmark::DoNotOptimize(google::protobuf::util::MessageToJsonString(messages[next++ % kMembers], &json).ok());
    bytes += json.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(MessageToJson);

void AppendMasked(benchmark::State& state) {
  std::vector<MemberDocumentRef> documents;
  for (const Member& member : Members()) documents.push_back(MakeMemberDocument(member));
  std::string out;
  std::size_t next = 0;
  for (auto _ : state) {
    out.clear();
    documents[next++ % kMembers]->AppendMasked(out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(AppendMasked);

// Of a cached document, in clear (0) and masked (1).
void DocumentToProtobuf(benchmark::State& state) {
  std::vector<MemberDocumentRef> documents;
  for (const Member& member : Members()) documents.push_back(MakeMemberDocument(member));
  std::string out;
  std::size_t next = 0;
  for (auto _ : state) {
    out.clear();
    AppendMemberProtobuf(out, *documents[next++ % kMembers], state.range(0) == 1);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(DocumentToProtobuf)->Arg(0)->Arg(1);

void MessageToProtobuf(benchmark::State& state) {
  v1::Member message;
  const Member member = Members().front();
  if (!google::protobuf::util::JsonStringToMessage(std::string(MakeMemberDocument(member)->json()), &message).ok())
    state.SkipWithError("not the message's JSON");
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(message.AppendToString(&out));
  }
}
BENCHMARK(MessageToProtobuf);

void KeyOfPhone(benchmark::State& state) {
  KeyedHash hash{SecretKey{}};
  for (auto _ : state) benchmark::DoNotOptimize(hash.KeyOf("phone", "", "+8613800000001"));
}
BENCHMARK(KeyOfPhone);

void SealAndOpen(benchmark::State& state) {
  SystemRandom random;
  Sealer sealer(Keyring::Generate(random), random);
  const std::string plain(100, 'p');
  std::string sealed;
  for (auto _ : state) {
    sealed.clear();
    sealer.Seal(plain, "12345678", sealed);
    benchmark::DoNotOptimize(sealer.Open(sealed, "12345678"));
  }
}
BENCHMARK(SealAndOpen);

void NormaliseChineseMobile(benchmark::State& state) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  for (auto _ : state) benchmark::DoNotOptimize(catalog.Normalise("phone", "", "+86 138 0000 0001", ""));
}
BENCHMARK(NormaliseChineseMobile);

void NormaliseForeignPhone(benchmark::State& state) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  for (auto _ : state) benchmark::DoNotOptimize(catalog.Normalise("phone", "", "+44 20 7031 3000", ""));
}
BENCHMARK(NormaliseForeignPhone);

}  // namespace
}  // namespace muster
