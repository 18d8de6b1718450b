#include "domain/keyring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace muster {
namespace {

namespace fs = std::filesystem;

class KeyringTest : public ::testing::Test {
 protected:
  KeyringTest() {
    std::string name = (fs::temp_directory_path() / "keyring-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = (folder_ / "keyring").string();
  }
  ~KeyringTest() override { fs::remove_all(folder_); }

  void Write(const std::string& text, fs::perms mode = fs::perms::owner_read | fs::perms::owner_write) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
    fs::permissions(path_, mode);
  }
  std::string Read() {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The message of the failure that loading gives; "" when it succeeds.
  std::string LoadFailure() {
    const Result<Keyring> keyring = Keyring::Load(path_);
    if (keyring) return "";
    EXPECT_EQ(keyring.error().reason, Reason::kInternal);
    EXPECT_TRUE(keyring.error().message.contains(path_)) << keyring.error().message;
    return keyring.error().message;
  }
  std::size_t FileCount() {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  static std::string Hex(char digit) { return std::string(64, digit); }

  fs::path folder_;
  std::string path_;
  SystemRandom random_;
};

TEST_F(KeyringTest, MissingFileSaysWhatToDo) {
  EXPECT_TRUE(LoadFailure().contains("backup"));
  const Result<Keyring> rotated = Keyring::Rotate(path_, random_);
  ASSERT_FALSE(rotated);
  EXPECT_EQ(FileCount(), 0u) << "a failed rotation leaves nothing behind";
}

TEST_F(KeyringTest, CreatesWhatItLoads) {
  const Result<Keyring> created = Keyring::Create(path_, random_);
  ASSERT_TRUE(created) << created.error().message;
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const Result<Keyring> loaded = Keyring::Load(path_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->hash_key(), created->hash_key());
  EXPECT_EQ(loaded->seal_keys(), created->seal_keys());
  EXPECT_EQ(loaded->active_seal_id(), 1u);
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(KeyringTest, TheModeDoesNotDependOnTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    const mode_t before = ::umask(mask);
    const Result<Keyring> created = Keyring::Create(path_, random_);
    ::umask(before);
    ASSERT_TRUE(created) << created.error().message;
    EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    fs::remove(path_);
  }
}

TEST_F(KeyringTest, CreateNeverReplaces) {
  ASSERT_TRUE(Keyring::Create(path_, random_));
  const std::string before = Read();
  const Result<Keyring> again = Keyring::Create(path_, random_);
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().message.contains("exists"));
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(KeyringTest, CreateInAMissingFolderFails) {
  const Result<Keyring> created = Keyring::Create((folder_ / "none" / "keyring").string(), random_);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().reason, Reason::kInternal);
}

TEST_F(KeyringTest, KeysDiffer) {
  const Keyring a = Keyring::Generate(random_);
  const Keyring b = Keyring::Generate(random_);
  EXPECT_NE(a.hash_key(), b.hash_key());
  EXPECT_NE(a.seal_keys(), b.seal_keys());
  EXPECT_NE(a.hash_key(), a.seal_keys().at(1));
}

TEST_F(KeyringTest, RotationAddsAKeyAndKeepsTheRest) {
  const Result<Keyring> created = Keyring::Create(path_, random_);
  ASSERT_TRUE(created);
  for (std::uint32_t id = 2; id <= 12; ++id) {
    const Result<Keyring> rotated = Keyring::Rotate(path_, random_);
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_EQ(rotated->active_seal_id(), id);
    EXPECT_EQ(rotated->seal_keys().size(), id);
    EXPECT_EQ(rotated->hash_key(), created->hash_key());
    EXPECT_EQ(rotated->seal_keys().at(1), created->seal_keys().at(1));
    const Result<Keyring> loaded = Keyring::Load(path_);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->seal_keys(), rotated->seal_keys());
  }
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(KeyringTest, RotationsExcludeEachOther) {
  ASSERT_TRUE(Keyring::Create(path_, random_));
  std::atomic<std::uint32_t> rotations = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      SystemRandom random;
      for (int j = 0; j < 10; ++j) rotations += Keyring::Rotate(path_, random).has_value() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Result<Keyring> loaded = Keyring::Load(path_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_GE(rotations, 1u);
  EXPECT_EQ(loaded->seal_keys().size(), 1 + rotations) << "a key that was handed out was lost";
}

TEST_F(KeyringTest, ARotationUnderWayRefusesAnother) {
  ASSERT_TRUE(Keyring::Create(path_, random_));
  std::ofstream(path_ + ".new") << "half a key";
  const int other = ::open((path_ + ".new").c_str(), O_WRONLY);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  const Result<Keyring> refused = Keyring::Rotate(path_, random_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.contains("another process"));
  // It is killed: what it left does not matter.
  ::close(other);
  const Result<Keyring> rotated = Keyring::Rotate(path_, random_);
  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_EQ(rotated->active_seal_id(), 2u);
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(KeyringTest, RefusesWhatOthersMayRead) {
  const std::string text = "hash " + Hex('a') + "\nseal 1 " + Hex('b') + "\n";
  for (const fs::perms more : {fs::perms::group_read, fs::perms::others_read, fs::perms::group_write}) {
    Write(text, fs::perms::owner_read | fs::perms::owner_write | more);
    EXPECT_TRUE(LoadFailure().contains("chmod 600"));
    EXPECT_FALSE(Keyring::Rotate(path_, random_));
  }
  Write(text);
  EXPECT_EQ(LoadFailure(), "");
}

TEST_F(KeyringTest, ReadsTheDocumentedForm) {
  Write("hash " + Hex('a') + "\nseal 3 " + Hex('B') + "\nseal 7 " + Hex('c') + "\n");
  const Result<Keyring> keyring = Keyring::Load(path_);
  ASSERT_TRUE(keyring) << keyring.error().message;
  EXPECT_EQ(keyring->hash_key()[0], 0xaa);
  EXPECT_EQ(keyring->active_seal_id(), 7u);
  EXPECT_EQ(keyring->seal_keys().at(3)[31], 0xbb);
}

TEST_F(KeyringTest, RefusesMalformedFilesWithoutRepeatingThem) {
  const std::string hash = "hash " + Hex('a') + "\n";
  const std::string seal = "seal 1 " + Hex('b') + "\n";
  const std::vector<std::string> malformed = {
      "",
      "\n",
      hash,
      seal,
      seal + hash,
      hash + hash + seal,
      hash + seal + seal,
      hash + "seal 2 " + Hex('b') + "\nseal 1 " + Hex('c') + "\n",
      hash + "seal 0 " + Hex('b') + "\n",
      hash + "seal 01 " + Hex('b') + "\n",
      hash + "seal -1 " + Hex('b') + "\n",
      hash + "seal 4294967296 " + Hex('b') + "\n",
      hash + "seal  1 " + Hex('b') + "\n",
      hash + "seal 1 " + Hex('b') + " \n",
      hash + "seal 1 " + Hex('b') + "\r\n",
      hash + "seal 1 " + Hex('b').substr(1) + "\n",
      hash + "seal 1 " + Hex('b') + "bb\n",
      hash + "seal 1 " + Hex('g') + "\n",
      hash + "seal 1\n",
      hash + "seal\n",
      hash + "seal 1 " + Hex('b'),  // cut off
      hash + "seal 1 " + Hex('b').substr(0, 10),
      hash + seal + "\n",
      hash + seal + "# comment\n",
      std::string("hash ") + Hex('a').substr(1) + std::string(1, '\0') + "\n" + seal,
  };
  for (const std::string& text : malformed) {
    Write(text);
    const std::string failure = LoadFailure();
    EXPECT_TRUE(failure.contains("restore")) << text;
    EXPECT_FALSE(failure.contains("aaaa") || failure.contains("bbbb")) << "a key in a message";
  }
}

TEST_F(KeyringTest, RefusesWhatIsNotAFileOrTooLarge) {
  fs::create_directory(path_);
  EXPECT_NE(LoadFailure(), "");
  fs::remove(path_);
  Write(std::string((1 << 20) + 1, 'x'));
  EXPECT_TRUE(LoadFailure().contains("too large"));
}

}  // namespace
}  // namespace muster
