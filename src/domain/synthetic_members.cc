#include "domain/synthetic_members.h"

#include <array>
#include <chrono>
#include <span>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/random.h"

namespace muster {

namespace {

struct Name {
  std::string_view latin;
  std::string_view native;
};

// The most common names of each country.
constexpr Name kChineseFamilies[] = {
    {"Wang", "王"}, {"Li", "李"},    {"Zhang", "张"}, {"Liu", "刘"},  {"Chen", "陈"},  {"Yang", "杨"},
    {"Zhao", "赵"}, {"Huang", "黄"}, {"Zhou", "周"},  {"Wu", "吴"},   {"Xu", "徐"},    {"Sun", "孙"},
    {"Hu", "胡"},   {"Zhu", "朱"},   {"Gao", "高"},   {"Lin", "林"},  {"He", "何"},    {"Guo", "郭"},
    {"Ma", "马"},   {"Luo", "罗"},   {"Liang", "梁"}, {"Song", "宋"}, {"Zheng", "郑"}, {"Xie", "谢"},
};
constexpr Name kChineseGiven[] = {
    {"Wei", "伟"},     {"Fang", "芳"},     {"Na", "娜"},       {"Xiuying", "秀英"}, {"Min", "敏"},
    {"Jing", "静"},    {"Lei", "磊"},      {"Qiang", "强"},    {"Yang", "洋"},      {"Yan", "艳"},
    {"Yong", "勇"},    {"Jun", "军"},      {"Jie", "杰"},      {"Juan", "娟"},      {"Tao", "涛"},
    {"Chao", "超"},    {"Xiulan", "秀兰"}, {"Ming", "明"},     {"Gang", "刚"},      {"Ping", "平"},
    {"Hui", "辉"},     {"Zihan", "子涵"},  {"Yuxuan", "宇轩"}, {"Haoran", "浩然"},  {"Meimei", "梅梅"},
    {"Shiyu", "诗雨"}, {"Jiayi", "佳怡"},  {"Xinyi", "欣怡"},  {"Zixuan", "梓轩"},  {"Yichen", "奕辰"},
};
constexpr Name kJapaneseFamilies[] = {
    {"Sato", "佐藤"},     {"Suzuki", "鈴木"},   {"Takahashi", "高橋"}, {"Tanaka", "田中"},    {"Ito", "伊藤"},
    {"Watanabe", "渡辺"}, {"Yamamoto", "山本"}, {"Nakamura", "中村"},  {"Kobayashi", "小林"}, {"Kato", "加藤"}};
constexpr Name kJapaneseGiven[] = {{"Haruto", "陽翔"}, {"Yuto", "悠斗"}, {"Sota", "颯太"}, {"Yui", "結衣"},
                                   {"Aoi", "葵"},      {"Hina", "陽菜"}, {"Ren", "蓮"},    {"Sakura", "さくら"},
                                   {"Kenta", "健太"},  {"Mei", "芽依"}};
constexpr Name kBritishFamilies[] = {
    {"Smith", "Smith"}, {"Jones", "Jones"},   {"Taylor", "Taylor"},   {"Brown", "Brown"},    {"Wilson", "Wilson"},
    {"Evans", "Evans"}, {"Thomas", "Thomas"}, {"Johnson", "Johnson"}, {"OBrien", "O'Brien"}, {"Walker", "Walker"}};
constexpr Name kBritishGiven[] = {{"Oliver", "Oliver"}, {"Amelia", "Amelia"}, {"George", "George"}, {"Isla", "Isla"},
                                  {"Harry", "Harry"},   {"Ava", "Ava"},       {"Jack", "Jack"},     {"Emily", "Emily"},
                                  {"Zoe", "Zoë"},       {"Grace", "Grace"}};
constexpr Name kGermanFamilies[] = {{"Mueller", "Müller"},  {"Schmidt", "Schmidt"}, {"Schneider", "Schneider"},
                                    {"Fischer", "Fischer"}, {"Weber", "Weber"},     {"Meyer", "Meyer"},
                                    {"Wagner", "Wagner"},   {"Becker", "Becker"},   {"Schaefer", "Schäfer"},
                                    {"Koch", "Koch"}};
constexpr Name kGermanGiven[] = {{"Lukas", "Lukas"},    {"Emma", "Emma"}, {"Jonas", "Jonas"}, {"Mia", "Mia"},
                                 {"Juergen", "Jürgen"}, {"Lena", "Lena"}, {"Felix", "Felix"}, {"Soeren", "Sören"},
                                 {"Anna", "Anna"},      {"Paul", "Paul"}};

constexpr std::string_view kChineseCities[] = {"Shanghai",  "Beijing",   "Shenzhen", "Guangzhou", "Chengdu", "Hangzhou",
                                               "Chongqing", "Wuhan",     "Suzhou",   "Xi'an",     "Nanjing", "Changsha",
                                               "Tianjin",   "Zhengzhou", "Qingdao",  "Dalian",    "Xiamen",  "Kunming"};
constexpr std::string_view kJapaneseCities[] = {"Tokyo", "Osaka", "Nagoya", "Fukuoka", "Sapporo"};
constexpr std::string_view kBritishCities[] = {"London", "Manchester", "Leeds", "Bristol", "Edinburgh"};
constexpr std::string_view kGermanCities[] = {"Berlin", "Hamburg", "München", "Köln", "Dresden"};

constexpr std::string_view kTiers[] = {"bronze", "bronze", "bronze", "silver", "silver", "gold", "platinum"};
constexpr std::string_view kTags[] = {"frequent", "newsletter",  "app",      "mini-program",  "store-pickup",
                                      "parents",  "sale-hunter", "reviewer", "birthday-gift", "corporate"};
constexpr std::string_view kChannels[] = {"app", "mini-program", "store", "web", "partner"};
constexpr std::string_view kLanguages[] = {"zh-CN", "ja-JP", "en-GB", "de-DE"};
constexpr std::string_view kMailDomains[] = {"example.com", "example.net", "example.org", "mail.example.com"};

struct Country {
  std::span<const Name> families;
  std::span<const Name> given;
  std::span<const std::string_view> cities;
  bool family_first;
};
constexpr Country kCountries[] = {{kChineseFamilies, kChineseGiven, kChineseCities, true},
                                  {kJapaneseFamilies, kJapaneseGiven, kJapaneseCities, true},
                                  {kBritishFamilies, kBritishGiven, kBritishCities, false},
                                  {kGermanFamilies, kGermanGiven, kGermanCities, false}};

// Of sixteen members thirteen are Chinese.
std::size_t CountryOf(std::uint64_t index) { return index % 16 < 13 ? 0 : index % 16 - 12; }

// A number of each country's mobile plan, by prefix and the digits after it.
struct PhonePlan {
  std::span<const std::string_view> prefixes;
  int digits;
};
constexpr std::string_view kChinesePrefixes[] = {
    "+86130", "+86131", "+86132", "+86133", "+86134", "+86135", "+86136", "+86137", "+86138", "+86139",
    "+86150", "+86151", "+86152", "+86157", "+86158", "+86159", "+86178", "+86182", "+86186", "+86188",
};
constexpr std::string_view kJapanesePrefixes[] = {"+81801", "+81802", "+81803", "+81804", "+81901",
                                                  "+81902", "+81903", "+81904", "+81905", "+81906"};
constexpr std::string_view kBritishPrefixes[] = {"+44711", "+44712", "+44713", "+44714",
                                                 "+44771", "+44772", "+44773", "+44774"};
constexpr std::string_view kGermanPrefixes[] = {"+491510", "+491511", "+491512", "+491514", "+491515",
                                                "+491516", "+491517", "+491520", "+491521", "+491522"};
constexpr PhonePlan kPhonePlans[] = {
    {kChinesePrefixes, 8}, {kJapanesePrefixes, 7}, {kBritishPrefixes, 7}, {kGermanPrefixes, 7}};

constexpr std::uint64_t PowerOfTen(int exponent) { return exponent == 0 ? 1 : 10 * PowerOfTen(exponent - 1); }

// A one-to-one scattering of [0, size): `size` is a product of twos and fives, with which the multiplier has no factor
// in common.
std::uint64_t Scatter(std::uint64_t rank, std::uint64_t seed, std::uint64_t size) {
  constexpr std::uint64_t kMultiplier = 618'033'993;
  static_assert(kMultiplier % 2 != 0 && kMultiplier % 5 != 0);
  return (rank * kMultiplier + Mix64(seed) % size) % size;
}

// The choices of one member, in the order in which they are asked for.
class Choices {
 public:
  explicit Choices(std::uint64_t state) : state_(state) {}
  std::uint64_t Next() { return state_ = Mix64(state_); }
  std::uint64_t Below(std::uint64_t bound) { return (Next() >> 16) % bound; }
  const auto& Of(const auto& options) { return options[Below(std::size(options))]; }

 private:
  std::uint64_t state_;
};

std::string Base64Of(std::uint64_t first, std::uint64_t second) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(first >> (8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(second >> (8 * i));
  }
  return ToBase64Url(bytes);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return lower;
}

std::string Padded(std::uint64_t number, int width) {
  std::string digits = std::to_string(number);
  if (digits.size() < static_cast<std::size_t>(width))
    digits.insert(0, static_cast<std::size_t>(width) - digits.size(), '0');
  return digits;
}

std::string BirthDate(Choices& choices) {
  const std::uint64_t year = 1950 + choices.Below(58);
  const std::uint64_t month = 1 + choices.Below(12);
  const std::uint64_t day = 1 + choices.Below(28);
  return std::to_string(year) + "-" + Padded(month, 2) + "-" + Padded(day, 2);
}

void AddTags(Member& member, Choices& choices) {
  const std::uint64_t count = choices.Below(4);
  const std::uint64_t first = choices.Below(std::size(kTags));
  for (std::uint64_t i = 0; i < count; ++i) member.tags.emplace_back(kTags[(first + 3 * i) % std::size(kTags)]);
}

void AddIdentity(Member& member, KeyedHash& hash, std::string kind, std::string platform, std::string value,
                 bool verified) {
  Identity identity;
  identity.key = hash.KeyOf(kind, platform, value);
  identity.kind = std::move(kind);
  identity.platform = std::move(platform);
  identity.value = Pii<std::string>(std::move(value));
  identity.verified = verified;
  identity.bind_time = member.create_time;
  identity.source = member.attributes.at("channel");
  member.identities.push_back(std::move(identity));
}

}  // namespace

Member SyntheticMembers::Make(std::uint64_t index, KeyedHash& hash) const {
  MUSTER_CHECK(index < kIndexEnd);
  Choices choices(Mix64(seed_) ^ Mix64(index));
  const std::size_t country_number = CountryOf(index);
  const Country& country = kCountries[country_number];
  const Name& family = choices.Of(country.families);
  const Name& given = choices.Of(country.given);

  Member member;
  if (country_number == 0) {
    member.display_name.append(family.latin).append(" ").append(given.latin);
    member.real_name = Pii(std::string(family.native) + std::string(given.native));
  } else if (country.family_first) {
    member.display_name.append(given.latin).append(" ").append(family.latin);
    member.real_name = Pii(std::string(family.native) + std::string(given.native));
  } else {
    member.display_name.append(given.native).append(" ").append(family.native.substr(0, 1)).append(".");
    member.real_name = Pii(std::string(given.native) + " " + std::string(family.native));
  }
  member.gender = static_cast<Gender>(choices.Below(3));
  member.birth_date = BirthDate(choices);
  member.city = choices.Of(country.cities);
  member.tier = choices.Of(kTiers);
  AddTags(member, choices);
  member.attributes.emplace("channel", choices.Of(kChannels));
  member.attributes.emplace("language", kLanguages[country_number]);
  member.attributes.emplace("store", "store-" + Padded(choices.Below(2000), 4));

  // Registered in the five years from 2020-01-01 on, to the millisecond.
  constexpr std::uint64_t kSpanMs = std::uint64_t{5} * 365 * 24 * 3600 * 1000;
  constexpr Timestamp kFirst = std::chrono::sys_days(std::chrono::January / 1 / 2020);
  member.create_time = kFirst + std::chrono::milliseconds(choices.Below(kSpanMs));
  member.update_time = member.create_time;

  AddIdentity(member, hash, "phone", "", PhoneOf(index), true);
  AddIdentity(member, hash, "unionid", "wechat", UnionidOf(index), true);
  if (choices.Below(4) == 0) {
    const std::string local = Lower(given.latin) + "." + Lower(family.latin) + std::to_string(index);
    AddIdentity(member, hash, "email", "", local + "@" + std::string(choices.Of(kMailDomains)), false);
  }
  return member;
}

std::string SyntheticMembers::PhoneOf(std::uint64_t index) const {
  MUSTER_CHECK(index < kIndexEnd);
  const PhonePlan& plan = kPhonePlans[CountryOf(index)];
  // Of the Chinese, thirteen ranks in sixteen are used; of the others every one.
  const std::uint64_t rank = CountryOf(index) == 0 ? index / 16 * 13 + index % 16 : index / 16;
  const std::uint64_t per_prefix = PowerOfTen(plan.digits);
  const std::uint64_t number = Scatter(rank, seed_, per_prefix * plan.prefixes.size());
  return std::string(plan.prefixes[number / per_prefix]) + Padded(number % per_prefix, plan.digits);
}

std::string SyntheticMembers::UnionidOf(std::uint64_t index) const {
  // 28 characters that begin with "o", as WeChat's do. Mix64 is one-to-one, so no two indexes share the first half.
  const std::uint64_t first = Mix64(index ^ Mix64(seed_));
  return "o" + Base64Of(first, Mix64(first)) + Padded(index % 100'000, 5);
}

}  // namespace muster
